#!/usr/bin/env python3
# SPDX-License-Identifier: Apache-2.0
"""gpu_report_test.py GPU_REPORT BUILD FOLDER: what scripts/gpu-report refuses, and its dry run from end to end."""
import json
import os
import shutil
import subprocess
import sys

script, build, folder = sys.argv[1:]
NOTHING_TO_TEST = 77


def run(*arguments):
    return subprocess.run([script, *arguments], capture_output=True, text=True, check=False, timeout=280)


def expect(condition, what, result=None):
    if not condition:
        sys.exit(f"gpu_report_test: {what}" + (f"\n{result.stdout[-3000:]}\n{result.stderr[-3000:]}" if result else ""))


result = run("--help")
expect(result.returncode == 0 and "--dry-run" in result.stdout and "Exit codes" in result.stdout, "--help", result)
for wrong in (["--bogus"], ["--minutes", "0"], ["--minutes", "soon"], ["extra"]):
    result = run(*wrong)
    expect(result.returncode == 2 and "gpu-report: error" in result.stderr, f"{wrong} is a usage error", result)
result = run("--dry-run", "--build-dir", folder + "-no-such", "--output", folder)
expect(result.returncode == 2 and "has no attend" in result.stderr, "a folder that is no build", result)
if not any(os.path.exists(path) for path in ("/dev/nvidiactl", "/dev/nvidia0")):
    result = run("--build-dir", build, "--output", folder)
    expect(result.returncode == 3 and "no device" in result.stderr and "--dry-run" in result.stderr, "without a device it says so", result)

shutil.rmtree(folder, ignore_errors=True)
result = run("--dry-run", "--build-dir", build, "--output", folder)
if "built without nvcc" in result.stderr:
    print("gpu_report_test: built without nvcc, no kernel to report on")
    sys.exit(NOTHING_TO_TEST)
expect(result.returncode == 0, f"dry run: exit code {result.returncode}", result)
expect("nothing was timed" in result.stdout, "the dry run says that nothing was timed", result)
with open(os.path.join(folder, "records.jsonl"), encoding="utf-8") as lines:
    records = [json.loads(line) for line in lines]
records = [record for record in records if not record.get("header")]
expect(len({record["case"] for record in records}) >= 80, f"{len(records)} records, expected one for each case at least")
for record in records:
    expect(record["simulated"] and record["state"] == "simulated", f"case {record['case']}: {record['state']}, {record.get('reason')}")
    expect(all(record[name] is None for name in ("median_s", "gflops", "tflops", "share", "gbps", "host_s")), f"case {record['case']} claims a time")
    expect(record["error_ratio"] <= 1, f"case {record['case']} is wrong")
with open(os.path.join(folder, "checks.json"), encoding="utf-8") as file:
    checks = json.load(file)["checks"]
expect(len(checks) >= 3 and all(check["passed"] > 0 and check["failed"] == 0 for check in checks), f"checks: {checks}")
with open(os.path.join(folder, "report.md"), encoding="utf-8") as file:
    text = file.read()
expect("**Simulated.**" in text and "## Absent" in text and "cublas" in text, "the report says what it is and who is absent")
