# SPDX-License-Identifier: Apache-2.0
"""Python packages that tests compare this project with: which, and a folder of their own for them."""
import os
import subprocess
import sys
import tempfile
from pathlib import Path

# What they import and no more: without their own dependencies, most of which talk to servers.
PACKAGES = ["numpy==2.4.6", "gguf==0.19.0", "tokenizers==0.23.3", "pyyaml==6.0.3", "requests==2.34.2", "tqdm==4.70.1"]


class FetchError(Exception):
    """A failure with a message for the person who runs the script."""


def folder():
    """Where the packages lie for this Python; tests append it to sys.path, so that what Python has itself comes first."""
    name = "-".join(["python{}.{}".format(*sys.version_info), *(each.replace("==", "-") for each in PACKAGES)])
    return Path("~/.cache/attend/test-peers").expanduser() / name


def fetch():
    """Returns folder(), which pip has filled if it was not there."""
    to = folder()
    if to.exists():
        return to
    to.parent.mkdir(parents=True, exist_ok=True)
    print(f"get-peers: downloading {', '.join(PACKAGES)} (25 MB)", file=sys.stderr, flush=True)
    with tempfile.TemporaryDirectory(dir=to.parent) as scratch:
        fresh = Path(scratch) / "packages"
        command = [sys.executable, "-m", "pip", "install", "--quiet", "--disable-pip-version-check", "--no-deps",
                   "--no-compile", "--only-binary", ":all:", "--target", str(fresh), *PACKAGES]
        if subprocess.run(command, stdout=sys.stderr).returncode != 0:
            raise FetchError(f"pip could not install {' '.join(PACKAGES)}")
        try:
            os.rename(fresh, to)
        except OSError:
            if not to.exists():  # made meanwhile by another
                raise
    return to
