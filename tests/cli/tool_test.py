#!/usr/bin/env python3
# SPDX-License-Identifier: Apache-2.0
"""The built tool as a person calls it: every example of every --help, exit codes, JSON, files that appear whole or not at all.

    tool_test.py TOOL DATA_FOLDER SIMULATOR    SIMULATOR: yes; no-nvcc: it has no kernels to run; no: the tool has none
"""
import json
import os
import resource
import shlex
import struct
import subprocess
import sys
import tempfile

TOOL, DATA, SIMULATOR = os.path.abspath(sys.argv[1]), os.path.abspath(sys.argv[2]), sys.argv[3]
COMMANDS = ["info", "run", "merge", "check", "bench", "explain", "list", "show"] + (["trace"] if SIMULATOR == "yes" else [])
failures = []


def call(words, folder):
    return subprocess.run([TOOL, *words], cwd=folder, capture_output=True, text=True, timeout=120)


def expect(truth, what, result=None):
    if truth:
        return
    failures.append(what)
    print("FAILED", what)
    if result is not None:
        print(f"  exit {result.returncode}\n  stdout {result.stdout[-600:]}\n  stderr {result.stderr[-600:]}")


def examples(folder):
    """The lines below `Examples:` of each command's help."""
    for command in COMMANDS:
        result = call([command, "--help"], folder)
        expect(result.returncode == 0, f"{command} --help exits 0", result)
        if command == "bench" and "ATTEND_BUILD_BENCH=OFF" in result.stdout:
            continue
        lines = [line.strip() for line in result.stdout.partition("Examples:")[2].splitlines()]
        found = [line for line in lines if line.startswith("attend ")]
        expect(found, f"{command} --help has examples", result)
        yield from found


def check_json(text, what):
    try:
        json.loads(text)
        return
    except ValueError:
        pass
    try:
        lines = [json.loads(line) for line in text.splitlines() if line.startswith("{")]
        expect(lines, f"{what}: prints JSON")
    except ValueError as error:
        expect(False, f"{what}: {error}")


def run_examples(folder):
    for line in examples(folder):
        result = call(shlex.split(line)[1:], folder)
        expect(result.returncode == 0, line, result)
        if "--json" in line:
            check_json(result.stdout, line)


def run_failures(folder):
    hostile = os.path.join(folder, "hostile.safetensors")
    with open(hostile, "wb") as file:
        file.write(struct.pack("<Q", 1 << 60) + b"{}")
    data = "data/smollm2_qkv.safetensors"
    cases = [  # words, exit code, what stderr must name
        ([], 2, ""),
        (["no-such-command"], 2, "no-such-command"),
        (["explain", "attention_fwd d=0"], 2, "d"),
        (["explain", "attention_fwd sq=8 sk=8 d=16 mask=no_such"], 2, "no_such"),
        (["explain", "attention_fwd sq=8 sk=8 d=16", "--level-bytes", "none"], 2, "--level-bytes"),
        (["explain", "attention_fwd sq=8 sk=8 d=16", "--level-bytes", "0"], 2, "--level-bytes"),
        (["check", "attention_fwd sq=8 sk=8 d=16", "--kernel", "no.such"], 2, "no.such"),
        (["check", "attention_fwd sq=8 sk=8 d=16", "--device", "tpu"], 2, "tpu"),
        (["run", data, "--device", "cuda"], 2, "--device is cuda, expected cpu"),
        (["run", data, "--backward", "--out", "dq.npy"], 2, "--out is dq.npy"),
        (["run", data, "--backward", "--kv-format", "int8"], 2, "--backward together with a cache"),
        (["explain", "attention_bwd sq=8 sk=8 d=16", "--level-bytes", "1M"], 2, "--level-bytes with a backward pass"),
        (["explain", "attention_bwd sq=8 sk=8 d=16 grad=int3"], 2, 'grad is "int3"'),
        (["run", "missing.safetensors"], 2, "missing.safetensors"),
        (["run", hostile], 2, "hostile"),
        (["run", data, "--layer", "99"], 2, "99"),
        (["merge", "a.safetensors", "b.safetensors"], 2, "neither --out nor --compare"),
        (["merge", "a.safetensors", "--out", "o.npy"], 2, "o.npy"),
        (["merge", "a.safetensors", "missing.safetensors", "--out", "o.safetensors"], 2, "missing.safetensors"),
        (["merge", "a.safetensors", data, "--out", "o.safetensors"], 2, "has no tensor layers.15.o"),
        (["merge", data, "--out", "o.safetensors"], 2, "has no tensor NAME.o"),
        (["merge", "a.safetensors", "--layout", "bhsd", "--out", "o.safetensors"], 2, "layers.15.lse is f32"),
        (["run", data, "--out", "no/such/folder/o.safetensors"], None, "no/such/folder"),
        (["show", data, "--out", "no/such/folder/o.png"], None, "no/such/folder"),
    ]
    for words, code, names in cases:
        result = call(words, folder)
        wanted = f"exits {code}" if code is not None else "fails"
        right = result.returncode == code if code is not None else result.returncode in (1, 2)
        expect(right, f"attend {' '.join(words)} {wanted}", result)
        expect(names in result.stderr + result.stdout, f"attend {' '.join(words)} names {names!r}", result)


def run_merges(folder):
    """On the files of the examples: two parts of the keys, and all of them."""
    words = ["merge", "b.safetensors", "a.safetensors", "--compare", "whole.safetensors", "--json"]
    result = call(words, folder)
    layers = json.loads(result.stdout)
    expect(len(layers) == 1 and layers[0]["parts"] == 2, "merge names its layer", result)
    expect(0 < layers[0]["o_distance"] < 0.05 and layers[0]["lse_distance"] < 1e-3, "parts join to the whole", result)
    apart = json.loads(call(["merge", "a.safetensors", "--compare", "whole.safetensors", "--json"], folder).stdout)
    expect(apart[0]["o_distance"] > 20 * layers[0]["o_distance"], "one part alone is not the whole", result)
    again = json.loads(call(["merge", "merged.safetensors", "--compare", "merged.safetensors", "--json"], folder).stdout)
    expect(again[0]["o_distance"] == 0 and again[0]["lse_distance"] == 0, "one part is its own merge", result)


def run_traffic(folder):
    words = ["explain", "attention_fwd hq=2 hk=1 sq=1024 sk=1024 d=64", "--level-bytes"]
    explained = json.loads(call([*words, "16m", "--json"], folder).stdout)
    traffic = explained["traffic"]
    expect(traffic["level_bytes"] == 16 << 20, f"16m is 16 MiB: {traffic}")
    naive, flash, ours = traffic["schedules"]
    expect((naive["schedule"], flash["schedule"], ours["schedule"]) == ("naive", "flash_attention_1", explained["kernel"]), f"three schedules: {traffic}")
    expect(ours["read"] + ours["written"] == explained["bytes"], f"a level that holds everything is passed once: {traffic}")
    expect(naive["read"] == 2 * (4 * 1024 * 64 * 3 + 8 * 1024 * 1024), f"q, k, v, and S and P read back: {traffic}")
    tiny = json.loads(call([*words, "1000", "--json"], folder).stdout)["traffic"]["schedules"]
    expect("expected at least" in tiny[2]["reason"] and tiny[0]["read"] > naive["read"], f"too small for a block: {tiny}")
    text = call([*words, "1000"], folder)
    expect("a level of 1000 bytes" in text.stdout and "expected at least" in text.stdout, "the same as text", text)


def run_gradients(folder):
    words = ["run", "data/smollm2_qkv.safetensors", "--backward", "--layer", "15", "--repeat", "1", "--json"]
    result = call([*words, "--out", "gradients.safetensors"], folder)
    line = json.loads(result.stdout)
    expect(line["correct"] and line["kernel"].startswith("attention_bwd."), "run --backward is within its bound", result)
    with open(os.path.join(folder, "gradients.safetensors"), "rb") as file:
        head = json.loads(file.read(struct.unpack("<Q", file.read(8))[0]))
    expect({"layers.15.dq", "layers.15.dk", "layers.15.dv"} <= head.keys(), f"all gradients are written: {sorted(head)}")
    result = call(["check", "--backward", "--random", "12", "--seed", "3", "--kernel", "all", "--quiet"], folder)
    expect(result.returncode == 0 and " 0 failed" in result.stdout, "check --backward on all kernels", result)


def run_rest(folder):
    result = call(["check", "--random", "40", "--seed", "3", "--kernel", "all", "--quiet"], folder)
    expect(result.returncode == 0 and " 0 failed" in result.stdout, "check --random on all kernels", result)

    picture = os.path.join(folder, "size.png")
    result = call(["show", "attention_fwd sq=90 sk=130 d=16 mask=causal", "--out", picture], folder)
    expect(result.returncode == 0, "show draws a Problem alone", result)
    with open(picture, "rb") as file:
        head = file.read(24)
    size = struct.unpack(">II", head[16:24])
    expect(head[:8] == b"\x89PNG\r\n\x1a\n" and f"{size[0]} x {size[1]}" in result.stdout, "show says the picture's size", result)
    before = sorted(os.listdir(folder))
    with open(picture, "rb") as file:
        old = file.read()
    # A limit on the file's size stands for the full disk. Half of the picture: LLVM's OpenMP sizes a file of 1 KiB under it too.
    limit = len(old) // 2
    expect(limit >= 4096, f"the picture is too small to cut its write midway: {len(old)} bytes")
    full_disk = subprocess.run([TOOL, "show", "attention_fwd sq=90 sk=130 d=16 mask=causal", "--out", picture], cwd=folder,
                               capture_output=True, text=True, timeout=120, restore_signals=False,
                               preexec_fn=lambda: resource.setrlimit(resource.RLIMIT_FSIZE, (limit, limit)))
    expect(full_disk.returncode == 1, "a write that fails midway exits 1", full_disk)
    with open(picture, "rb") as file:
        expect(file.read() == old, "a write that fails midway leaves the old file as it was")
    expect(sorted(os.listdir(folder)) == before, f"a write that fails midway leaves nothing new: {os.listdir(folder)}")


def run_devices(folder):
    info = json.loads(call(["info", "--no-measure", "--json"], folder).stdout)["cuda"]
    expect(bool(info["name"]) == info["available"] and bool(info["reason"]) != info["available"], f"info names the CUDA device: {info}")
    result = call(["info", "--no-measure"], folder)
    expect((info["name"] or "none: " + info["reason"]) in result.stdout, "info says the same as text", result)
    problem = "attention_fwd b=1 hq=2 hk=1 sq=70 sk=130 d=64 dtype=bf16 mask=causal"
    result = call(["explain", problem, "--device", "cuda"], folder)
    expect(result.returncode == (0 if info["available"] else 1), "explain --device cuda needs a device", result)
    expect(info["reason"] in result.stderr, "explain --device cuda says why there is none", result)

    calls = [["list", "kernels", "--device", "sim", "--json"], ["explain", problem, "--device", "sim", "--json"],
             ["check", problem, "--seed", "3", "--kernel", "all", "--device", "sim", "--json"],
             ["check", "--random", "12", "--seed", "7", "--device", "sim", "--quiet", "--json"],
             ["check", problem, "--device", "sim", "--kernel", "no.such"]]
    results = [call(words, folder) for words in calls]
    if SIMULATOR != "yes":
        for words, result in zip(calls, results):
            expect(result.returncode == 2, f"attend {' '.join(words)} exits 2 without the simulator or its kernels", result)
            expect({"no": "ATTEND_BUILD_SIM", "no-nvcc": "nvcc"}[SIMULATOR] in result.stderr, f"attend {' '.join(words)} says what is missing", result)
        return
    for words, result in list(zip(calls, results))[:-1]:
        expect(result.returncode == 0, f"attend {' '.join(words)}", result)
    expect(results[-1].returncode == 2 and "no.such" in results[-1].stderr, "a kernel that no device has", results[-1])
    listed, explained, checked, random = (json.loads(result.stdout) for result in results[:-1])
    ids = {kernel["id"] for kernel in listed["kernels"]}
    expect("attention_fwd.cuda.simple" in ids, f"list has the kernels of devices: {ids}")
    expect(explained["device"] == "sim" and explained["kernel"] in ids, f"explain chooses one of them: {explained}")
    expect({kernel["kernel"] for kernel in checked["kernels"]} == ids, f"--kernel all asks each of them: {checked}")
    expect(checked["passed"] >= 2 and checked["failed"] == 0, f"a Problem in the simulator: {checked}")
    expect(random["passed"] == 12 and random["device"] == "sim", f"random Problems in the simulator: {random}")
    taken = {kernel["kernel"]: kernel["problems"] for kernel in random["kernels"]}
    expect(sum(taken.values()) == 12 and sum(n for name, n in taken.items() if ".sm90." in name) >= 3,
           f"how many each kernel took, and that those of 16 bits are among them: {taken}")


def run_trace(folder):
    problem, picture = "attention_fwd sq=128 sk=200 d=64 dtype=bf16", os.path.join(folder, "picture.svg")
    words = ["trace", problem, "--device", "sim", "--output", picture, "--count", "--json"]
    result = call(words, folder)
    if SIMULATOR != "yes":
        expect(result.returncode == 2, "trace exits 2 without the simulator or its kernels", result)
        return
    expect(result.returncode == 0, "trace draws and counts", result)
    counts = json.loads(result.stdout)
    expect(counts["multiply_adds"] == 2 * 2 * 128 * 128 * 64, f"two tiles, two products each: {counts['multiply_adds']}")
    # 128 x 128 scores of a tile, one for each of 32 lanes.
    expect(counts["opcodes"]["ex2.approx.ftz.f32"] >= 2 * 128 * 128 // 32, f"an exponential for each score: {counts['opcodes']}")
    with open(picture) as file:
        drawn = file.read()
    expect(drawn.startswith("<svg") and drawn.endswith("</svg>\n") and "wgmma of warpgroup 2" in drawn, "the picture has rows for products")
    expect(call(words, folder).stdout == result.stdout, "the same seed gives the same run")
    for more, reason in [(["--output", "x.svg"], "--device is cpu"), (["--device", "sim", "--output", "x.png"], ".svg or .json"),
                         (["--device", "sim"], "--count"), (["--device", "sim", "--count", "--block", "7"], "--block is 7")]:
        refused = call(["trace", problem, *more], folder)
        expect(refused.returncode == 2 and reason in refused.stderr, f"trace {' '.join(more)} says {reason}", refused)
    expect(not os.path.exists(os.path.join(folder, "x.svg")), "a refused trace writes nothing")


with tempfile.TemporaryDirectory() as scratch:
    os.symlink(DATA, os.path.join(scratch, "data"))
    run_examples(scratch)
    run_failures(scratch)
    run_merges(scratch)
    run_traffic(scratch)
    run_gradients(scratch)
    run_rest(scratch)
    run_devices(scratch)
    run_trace(scratch)
print("FAILED:" if failures else "all of the tool's checks passed", *failures, sep="\n  ")
sys.exit(1 if failures else 0)
