#!/usr/bin/env python3
# SPDX-License-Identifier: Apache-2.0
"""device_report_test.py REPORT FOLDER: runs the report of a device on a few records and looks at what it wrote."""
import json
import os
import subprocess
import sys

report, folder = sys.argv[1:]
os.makedirs(folder, exist_ok=True)
spread = {"median": 1500.0, "p10": 1400.0, "p90": 1600.0}


def record(case, n, kernel="attention_fwd.sm90.f16.d128", **changes):
    line = {"suite": "cuda", "group": "paper d128 full", "problem": f"attention_fwd b=1 hq=16 hk=16 sq={n} sk={n} d=128 dtype=f16",
            "kernel": kernel, "isa": "sm90", "threads": 0, "state": "timed", "median_s": 1e-3, "p10_s": 9e-4, "p90_s": 2e-3,
            "gflops": 123.0, "peak_gflops": 246.0, "share": 0.5, "gbps": 1.0, "peak_gbps": 10.0, "workspace_bytes": 100,
            "error_ratio": 0.1, "machine": "a device", "date": "2026-01-31T12:00:00Z", "commit": "abc", "case": case, "role": "attend",
            "simulated": False, "tflops": 0.123, "cublas_tflops": 0.246, "host_s": 1e-5, "ratios": {"cudnn": 1.25, "cublas": 0.5},
            "absent": {"flash2": "no such backend"}, "rms_error": 1e-4, "rms_value": 0.5, "sm_mhz": spread, "power_w": spread,
            "temperature_c": spread, "bars": [{"bar": "share of cublas >= 0.85", "limit": 0.85, "value": 0.5, "met": False},
                                              {"bar": "rate over cudnn >= 1", "limit": 1, "value": 1.25, "met": True}],
            "bars_not_judged": ["TFLOP/s >= 720: the reason"]}
    line.update(changes)
    return line


def write(name, lines):
    path = os.path.join(folder, name)
    with open(path, "w", encoding="utf-8") as file:
        file.writelines((line if isinstance(line, str) else json.dumps(line)) + "\n" for line in lines)
    return path


def run(*arguments):
    return subprocess.run([sys.executable, report, *arguments], capture_output=True, text=True, check=False)


def expect(condition, what):
    if not condition:
        sys.exit(f"device_report_test: {what}")


header = {"header": True, "device": "a device", "driver": "1.2", "cuda": "13.0", "max_sm_mhz": 1980, "power_limit_w": 700,
          "peers": {"cudnn": "torch and cuDNN"}, "peers_absent": "", "sensors_absent": ""}
peer = {"role": "peer", "error_ratio": None, "bars": [], "bars_not_judged": [], "note": "torch and cuDNN"}
lines = [header, record(0, 1024, tflops=0.999), record(0, 1024), record(0, 1024, "cudnn", **peer), record(1, 2048),
         record(1, 2048, "cudnn", **peer), record(2, 8448, group="ablation d128 full"),
         record(2, 8448, "attention_fwd.sm90.f16.d128.no_overlap", group="ablation d128 full", role="comparison", bars=[], bars_not_judged=[]),
         record(3, 2048, group="error d64", bars=[], bars_not_judged=[], rms_errors={"standard": 3e-4, "cudnn": 2e-4}),
         record(4, 4096, state="skipped", reason="the budget is spent", median_s=None, tflops=None, gflops=None, bars=[], bars_not_judged=[])]
with open(os.path.join(folder, "checks.json"), "w", encoding="utf-8") as file:
    json.dump({"checks": [{"name": "some tests", "passed": 5, "failed": 1, "skipped": 2, "seconds": 3.0}], "notes": ["a note"]}, file)
for end in (".md", ".png", "-ablation.png", "-targets.png"):
    if os.path.exists(os.path.join(folder, "report" + end)):
        os.remove(os.path.join(folder, "report" + end))
result = run(write("good.jsonl", lines), "--checks", os.path.join(folder, "checks.json"), "--out", folder)
with open(os.path.join(folder, "report.md"), encoding="utf-8") as file:
    text = file.read()
for words, what in (("3 met, 3 missed, 3 not judged", "targets are counted, the latest of two records of a case alone"),
                    ("| 1.250 |", "the ratio to a peer"), ("50.0 %", "the share of cuBLAS"), ("**missed**", "what was missed is marked"),
                    ("the reason", "why a target was not judged"), ("no such backend", "who is absent, and why"),
                    ("the budget is spent", "what was skipped, and why"), ("3.00e-04", "errors of others"), ("| some tests | 5 |", "the checks"),
                    ("a note", "notes"), ("driver 1.2, CUDA 13.0", "versions"), ("1500", "clocks")):
    expect(words in text, f"report.md lacks {words!r}: {what}")
expect("0.999" not in text and "1.0 |" not in text.split("## Cases")[0], "the older record of a case is left out")
expect("Simulated" not in text, "a device is not called simulated")
if "matplotlib" in result.stderr:
    expect(result.returncode == 1, "without matplotlib the exit code says that pictures are missing")
    print("device_report_test: no matplotlib, pictures not tested")
else:
    expect(result.returncode == 0, f"exit code {result.returncode}: {result.stderr}")
    for end in (".png", "-ablation.png", "-targets.png"):
        with open(os.path.join(folder, "report" + end), "rb") as file:
            picture = file.read()
        expect(picture.startswith(b"\x89PNG") and len(picture) > 5000, f"report{end} is a picture")

nothing = {"simulated": True, "state": "simulated", "median_s": None, "p10_s": None, "p90_s": None, "gflops": None, "tflops": None,
           "share": None, "cublas_tflops": None, "gbps": None, "host_s": None, "ratios": {}, "bars": [], "sm_mhz": None, "power_w": None,
           "temperature_c": None, "stands_for": "attention_fwd sq=4096 sk=4096 d=128"}
result = run(write("simulated.jsonl", [record(0, 48, **nothing), record(1, 64, **nothing)]), "--out", os.path.join(folder, "simulated"))
with open(os.path.join(folder, "simulated", "report.md"), encoding="utf-8") as file:
    text = file.read()
expect("**Simulated.**" in text and "sq=48" in text and "for `sq=4096" in text, "what is simulated says so, and what it stands for")

for name, lines, said in (("broken.jsonl", [record(0, 512), "{"], ":2:"),
                          ("missing.jsonl", [{key: value for key, value in record(0, 512).items() if key != "role"}], "'role'"),
                          ("empty.jsonl", [header], "no record")):
    result = run(write(name, lines), "--out", folder)
    expect(result.returncode == 2 and said in result.stderr, f"{name}: exit code {result.returncode}, stderr {result.stderr!r}")
expect(run(os.path.join(folder, "absent.jsonl")).returncode == 2, "a file that is not there is an error")
