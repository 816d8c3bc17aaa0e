#!/usr/bin/env python3
# SPDX-License-Identifier: Apache-2.0
"""plot_test.py PLOT FOLDER: runs the plot script on a few records and looks at what it wrote."""
import json
import os
import subprocess
import sys

plot, folder = sys.argv[1:]
os.makedirs(folder, exist_ok=True)


def record(n, kernel="attention_fwd.avx512.f32", **changes):
    line = {"suite": "sample", "group": "f32 full", "problem": f"attention_fwd b=1 hq=8 hk=8 sq={n} sk={n} d=64", "kernel": kernel,
            "isa": "avx512", "threads": 1, "state": "timed", "median_s": 1e-3, "p10_s": 9e-4, "p90_s": 2e-3, "gflops": 80.0,
            "peak_gflops": 100.0, "share": 0.8, "peak_fma_f32_gflops": 100.0, "gbps": 1.0, "peak_gbps": 10.0,
            "workspace_bytes": 1 << 20, "error_ratio": 0.1, "machine": "a machine", "date": "2026-01-31T12:00:00Z", "commit": "abc",
            "bars": [{"bar": "share of peak >= 0.87", "limit": 0.87, "value": 0.8, "met": False}]}
    line.update(changes)
    return line


def write(name, lines):
    path = os.path.join(folder, name)
    with open(path, "w", encoding="utf-8") as file:
        file.writelines((line if isinstance(line, str) else json.dumps(line)) + "\n" for line in lines)
    return path


def run(*arguments):
    return subprocess.run([sys.executable, plot, *arguments], capture_output=True, text=True, check=False)


def expect(condition, what):
    if not condition:
        sys.exit(f"plot_test: {what}")


good = write("good.jsonl", [record(512, gflops=1.0), record(512), record(1024), record(512, "openblas_unfused", bars=[]),
                            record(2048, state="skipped", reason="no such ISA", median_s=None, gflops=None)])
for end in (".md", ".png", "-bars.png"):
    if os.path.exists(os.path.join(folder, "good" + end)):
        os.remove(os.path.join(folder, "good" + end))
result = run(good)
with open(os.path.join(folder, "good.md"), encoding="utf-8") as file:
    table = file.read()
expect("Bars: 0 met, 2 missed." in table, "the table counts the latest of two records of a case, and both cases")
expect("| 1.0 |" not in table, "the older record of a case is left out")
expect("no such ISA" in table, "the table says what was skipped")
expect("openblas_unfused" in table, "the table has the baseline")
if "matplotlib" in result.stderr:
    expect(result.returncode == 1, "without matplotlib the exit code says that pictures are missing")
    print("plot_test: no matplotlib, pictures not tested")
else:
    expect(result.returncode == 0, f"exit code {result.returncode}: {result.stderr}")
    for end in (".png", "-bars.png"):
        with open(os.path.join(folder, "good" + end), "rb") as file:
            picture = file.read()
        expect(picture.startswith(b"\x89PNG") and len(picture) > 5000, f"good{end} is a picture")

for name, lines, said in (("broken.jsonl", [record(512), "{"], ":2:"),
                          ("missing.jsonl", [{key: value for key, value in record(512).items() if key != "share"}], "'share'"),
                          ("empty.jsonl", [], "no record")):
    result = run(write(name, lines))
    expect(result.returncode == 2 and said in result.stderr, f"{name}: exit code {result.returncode}, stderr {result.stderr!r}")
expect(run(os.path.join(folder, "absent.jsonl")).returncode == 2, "a file that is not there is an error")
