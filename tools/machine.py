# SPDX-License-Identifier: Apache-2.0
"""What a line of a results file says of where it comes from."""
import datetime
import os
import platform
import subprocess
from pathlib import Path

TREE = Path(__file__).resolve().parent.parent


def processor():
    for line in Path("/proc/cpuinfo").read_text(encoding="utf-8").splitlines() if Path("/proc/cpuinfo").exists() else []:
        if line.startswith("model name"):
            return f"{line.split(':', 1)[1].strip()}, {os.cpu_count()} cores"
    return f"{platform.machine()}, {os.cpu_count()} cores"


def origin():
    """Machine, date, and the commit of the tree."""
    commit = subprocess.run(["git", "-C", TREE, "rev-parse", "--short=10", "HEAD"], capture_output=True, text=True).stdout.strip()
    return {"machine": processor(), "date": datetime.date.today().isoformat(), "commit": commit}
