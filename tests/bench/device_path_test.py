#!/usr/bin/env python3
# SPDX-License-Identifier: Apache-2.0
"""device_path_test.py GPU_REPORT BUILD FOLDER [--long]: the benchmark of a device where there is none, on a driver that is the simulator
(sim/driver) and, if this Python has numpy, on something that answers as PyTorch does (stand_in/). --long: all of scripts/gpu-report.
The numbers mean nothing; that they are there, and belong together, is what is looked at."""
import json
import os
import shutil
import subprocess
import sys

script, build, folder = sys.argv[1:4]
NOTHING_TO_TEST = 77
HERE = os.path.dirname(os.path.abspath(__file__))
shutil.rmtree(folder, ignore_errors=True)
os.makedirs(os.path.join(folder, "bin"))
try:
    import numpy  # noqa: F401
    HAS_PEERS = True
except ImportError:
    HAS_PEERS = False
    print("peers are not looked at: this Python has no numpy for their stand-in")
# The benchmark asks `python3`: it gets the one that runs this.
os.symlink(sys.executable, os.path.join(folder, "bin", "python3"))
environment = {**os.environ, "LD_LIBRARY_PATH": os.path.join(build, "ptxsim_driver"),
               "PATH": os.path.join(folder, "bin") + os.pathsep + os.environ["PATH"]}
if HAS_PEERS:
    environment["PYTHONPATH"] = os.path.join(HERE, "stand_in")


def run(command, **more):
    return subprocess.run(command, capture_output=True, text=True, check=False, env={**environment, **more})


def expect(condition, what, result=None):
    if not condition:
        sys.exit(f"device_path_test: {what}" + (f"\n{result.stdout[-3000:]}\n{result.stderr[-3000:]}" if result else ""))


def records_of(path):
    with open(path, encoding="utf-8") as lines:
        read = [json.loads(line) for line in lines]
    return [line for line in read if line.get("header")], [line for line in read if not line.get("header")]


def asked_of_nobody(problem):
    return any(words in problem for words in ("mask=window", "documents", "layout=thd"))


def check_records(records):
    for record in records:
        expect(record["state"] == "timed", f"case {record['case']}: {record['state']}: {record.get('reason')}")
        if record["group"].startswith("error"):
            expect(record["median_s"] is None and record["rms_error"] > 0, f"case {record['case']} is not timed")
            expect(not HAS_PEERS or record["rms_errors"]["standard"] > 0, f"case {record['case']} has others' errors")
            continue
        expect(record["median_s"] > 0 and record["tflops"] > 0 and record["rounds"] >= 5, f"case {record['case']} is timed")
        expect(abs(record["tflops"] * 1e12 * record["median_s"] / record["flops"] - 1) < 1e-3, f"case {record['case']}: rate and time belong together")
        expect(record["peak_gbps"] > 0, f"case {record['case']} has a copy beside it")
        if record["role"] == "attend":
            expect(("cudnn" in record["ratios"]) == (HAS_PEERS and not asked_of_nobody(record["problem"])), f"case {record['case']}: {record['ratios']}")
            expect(all("short version" in reason for reason in record.get("bars_not_judged", [])), "targets of short cases are not judged")


tool = os.path.join(build, "attend_bench_cuda")
if "built without nvcc" in run([os.path.join(build, "attend"), "list", "kernels", "--device", "cuda"]).stdout:
    print("device_path_test: built without nvcc, no kernel to run")
    sys.exit(NOTHING_TO_TEST)

if "--long" in sys.argv:
    # A kernel that does not end: after half a minute the process gives the case up.
    path = os.path.join(folder, "hanging.jsonl")
    result = run([tool, "--short", "--quiet", "--seconds", "60", "--filter", "error", "--json", path, "--no-peers"], PTXSIM_DRIVER_HANG="3")
    hanging = records_of(path)[1]
    expect(result.returncode == 3 and hanging[-1]["state"] == "failed" and "not finished" in hanging[-1]["reason"],
           f"a hanging device: exit code {result.returncode}, {[record['state'] for record in hanging]}", result)

    output = os.path.join(folder, "report")
    result = run([script, "--short", "--build-dir", build, "--output", output, "--minutes", "15"])
    expect(result.returncode == 0, f"gpu-report: exit code {result.returncode}", result)
    headers, records = records_of(os.path.join(output, "records.jsonl"))
    check_records(records)
    expect(len({record["case"] for record in records}) >= 80, "every case has a record")
    with open(os.path.join(output, "checks.json"), encoding="utf-8") as file:
        checks = json.load(file)
    expect(checks["device"] == "ptxsim driver" and all(check["failed"] == 0 and check["passed"] > 0 for check in checks["checks"]), f"{checks}")
    expect(any(check["passed"] == 200 for check in checks["checks"]), "200 random Problems")
    sys.exit(0)

path = os.path.join(folder, "window.jsonl")
result = run([tool, "--short", "--quiet", "--seconds", "60", "--filter", "short few causal", "--json", path])
expect(result.returncode == 0, f"attend_bench_cuda: exit code {result.returncode}", result)
headers, records = records_of(path)
expect(len(headers) == 1 and headers[0]["device"] == "ptxsim driver" and bool(headers[0]["peers"]) == HAS_PEERS, "the header names device and peers")
check_records(records)
expect(sum(record["role"] == "attend" for record in records) == 4, "four lengths")
expect(sum(record["role"] == "peer" for record in records) == (8 if HAS_PEERS else 0), "two peers for each")

path = os.path.join(folder, "error.jsonl")
result = run([tool, "--short", "--quiet", "--seconds", "60", "--filter", "error d64", "--json", path])
expect(result.returncode == 0, f"errors: exit code {result.returncode}", result)
check_records(records_of(path)[1])

path = os.path.join(folder, "late.jsonl")
result = run([tool, "--short", "--quiet", "--seconds", "1", "--filter", "window", "--json", path, "--no-peers"])
expect(result.returncode == 0, "what does not fit is no failure", result)
late = [record for record in records_of(path)[1] if record["role"] == "attend"]
expect(len(late) == 3 and late[-1]["state"] == "skipped" and "budget" in late[-1]["reason"], f"what does not fit is listed: {late[-1]['state']}")

# A launch fails in the second case: its record says so, the exit code too, and another process goes on behind it.
path = os.path.join(folder, "broken.jsonl")
result = run([tool, "--short", "--quiet", "--seconds", "60", "--filter", "error", "--json", path, "--no-peers"], PTXSIM_DRIVER_BREAK="3")
broken = records_of(path)[1]
expect(result.returncode == 3 and len(broken) == 2 and broken[-1]["state"] == "failed" and "LAUNCH_FAILED" in broken[-1]["reason"],
       f"a failing device: exit code {result.returncode}, {[record['state'] for record in broken]}", result)
result = run([tool, "--short", "--quiet", "--seconds", "60", "--filter", "error", "--json", path, "--no-peers", "--first", str(broken[-1]["case"] + 1)])
expect(result.returncode == 0 and records_of(path)[1][-1]["state"] == "timed", "the next process goes on behind it", result)
