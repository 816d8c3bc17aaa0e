#!/usr/bin/env python3
# SPDX-License-Identifier: Apache-2.0
"""build/ptxsim as a person calls it: every example of every --help, what each command says, bad input, whole files or none.

    tool_test.py TOOL REPOSITORY
"""
import json
import os
import resource
import shlex
import struct
import subprocess
import sys
import tempfile

TOOL, ROOT = os.path.abspath(sys.argv[1]), os.path.abspath(sys.argv[2])
# In the order in which their examples need each other's files.
COMMANDS = ["list", "run", "check", "count", "coverage", "trace", "mutate", "bench", "fuzz", "record", "replay"]
LAUNCHING = ["run", "check", "count", "coverage", "trace", "mutate"]
SAXPY, REVERSE = "sim/tool/examples/saxpy.ptx", "sim/tool/examples/reverse.ptx"
BUFFERS = ["out=zeros:u32:128", "in=random:u32:128"]
# Parameters are struct { u64 a; i32 b; }, struct { u32* x; u8 c; } and u32*.
FIELDS = """.version 8.0
.target sm_90a
.address_size 64
.entry fields(.param .align 8 .b8 s[16], .param .align 8 .b8 t[16], .param .u64 out)
.reqntid 1, 1, 1
{
  .reg .b64 %at, %x;
  .reg .b32 %v;
  ld.param.u64 %at, [out];
  ld.param.u32 %v, [s];
  st.global.u32 [%at], %v;
  ld.param.u32 %v, [s+8];
  st.global.u32 [%at+4], %v;
  ld.param.u64 %x, [t];
  ld.global.u32 %v, [%x];
  st.global.u32 [%at+8], %v;
  ld.param.u8 %v, [t+8];
  st.global.u32 [%at+12], %v;
  ret;
}
"""
# Stores how often it asked, or with @COUNT@ away a constant: a wait that fails for no reason must not be seen (H25).
WAITS = """.version 8.0
.target sm_90a
.address_size 64
.entry waits(.param .u64 out)
.reqntid 1, 1, 1
{
  .reg .b64 %at, %state;
  .reg .b32 %b, %count;
  .reg .pred %done;
  .shared .align 8 .b64 bar[1];
  ld.param.u64 %at, [out];
  mov.u32 %b, bar;
  mov.u32 %count, 0;
  mbarrier.init.shared.b64 [%b], 1;
  mbarrier.arrive.shared.b64 %state, [%b];
again:
  @COUNT@
  mbarrier.try_wait.shared.b64 %done, [%b], %state;
  @!%done bra again;
  st.global.u32 [%at], %count;
  ret;
}
"""
failures = []


def call(words, folder, **more):
    return subprocess.run([TOOL, *words], cwd=folder, capture_output=True, text=True, timeout=120, **more)


def expect(truth, what, result=None):
    if truth:
        return
    failures.append(what)
    print("FAILED", what)
    if result is not None:
        print(f"  exit {result.returncode}\n  stdout {result.stdout[-600:]}\n  stderr {result.stderr[-600:]}")


def reverse(command, *more, buffers=BUFFERS, block="128"):
    """The words that launch the kernel which turns 128 words round."""
    files = ["--out", "t.json"] if command == "trace" and "--out" not in more and "--picture" not in more else []
    return [command, REVERSE, "--block", block, *more, *files, "--args", *buffers]


def npy(path, descr, shape, data):
    header = repr({"descr": descr, "fortran_order": False, "shape": shape}).encode()
    header += b" " * (-(len(header) + 11) % 64) + b"\n"
    with open(path, "wb") as file:
        file.write(b"\x93NUMPY\x01\x00" + struct.pack("<H", len(header)) + header + data)


def words_of(path):
    with open(path, "rb") as file:
        data = file.read()
    begin = 10 + struct.unpack("<H", data[8:10])[0]
    return struct.unpack(f"<{(len(data) - begin) // 4}I", data[begin:])


def run_help_and_examples(folder):
    result = call(["--help"], folder)
    listed = all(f"  {command} " in result.stdout for command in COMMANDS)
    expect(result.returncode == 0 and listed, "--help lists all", result)
    expect(call(["--version"], folder).stdout.startswith("ptxsim "), "--version")
    for command in COMMANDS:
        result = call([command, "--help"], folder)
        expect(result.returncode == 0 and not result.stderr, f"{command} --help exits 0", result)
        lines = [line.strip() for line in result.stdout.partition("Example")[2].splitlines()]
        found = [line for line in lines if line.startswith(f"ptxsim {command} ")]
        expect(found or command == "bench", f"{command} --help has examples", result)
        for line in found:
            result = call(shlex.split(line)[1:], folder)
            expect(result.returncode == 0, line, result)
            if "--json" in line:
                try:
                    for each in result.stdout.splitlines() if command == "bench" else [result.stdout]:
                        json.loads(each)
                except ValueError as error:
                    expect(False, f"{line}: {error}", result)


def answer(words, folder, code=0):
    """What --json prints."""
    result = call([*words, "--json"] if "--args" not in words else [words[0], "--json", *words[1:]], folder)
    expect(result.returncode == code, f"ptxsim {' '.join(words)} --json exits {code}", result)
    try:
        return json.loads(result.stdout)
    except ValueError as error:
        expect(False, f"ptxsim {' '.join(words)} --json: {error}", result)
        return {}


def run_answers(folder):
    listing = answer(["list", SAXPY], folder)
    entry = listing["entries"][0]
    sizes = [param["bytes"] for param in entry["params"]]
    expect(entry["name"] == "saxpy" and sizes == [8, 8, 4, 4], f"list knows parameters: {entry}")
    expect(not listing["unsupported"], "list: all of saxpy is supported")

    npy(os.path.join(folder, "in.npy"), "<u4", (128,), struct.pack("<128I", *range(128)))
    files = ["out=out:out.npy:u32:128", "in=in:in.npy"]
    ran = answer(reverse("run", buffers=files), folder)
    expect(ran["clean"] and ran["outputs"][0]["file"] == "out.npy", f"run says what it wrote: {ran['outputs']}")
    expect(words_of(os.path.join(folder, "out.npy")) == tuple(range(127, -1, -1)), "run writes the result")
    result = call(reverse("run", buffers=["out=inout:in.npy:turned.npy", "in=ptr:out"]), folder)
    expect(result.returncode in (0, 1), "a pointer into another argument's buffer", result)

    buffers = ["out=zeros:u32:128", "in=in:in.npy"]
    checked = answer(reverse("check", "--seeds", "2", "--expect", "out=out.npy", buffers=buffers), folder)
    expect(checked["good"] and checked["runs"] == 8, f"check: {checked['runs']} runs of 4 policies x 2 seeds")
    npy(os.path.join(folder, "wrong.npy"), "<u4", (128,), struct.pack("<128I", *range(128)))
    checked = answer(reverse("check", "--seeds", "1", "--expect", "out=wrong.npy", buffers=buffers), folder, code=1)
    kinds = [difference["kind"] for difference in checked["differences"]]
    expect(kinds == ["expected"], f"check finds a wrong result: {checked['differences']}")

    counted = answer(reverse("count"), folder)
    expect(counted["counts"]["warp_instructions"] > 0 and counted["shared_lines"], "count counts")
    covered = answer(reverse("coverage", "--out", "listing.txt"), folder)
    with open(os.path.join(folder, "listing.txt"), encoding="utf-8") as file:
        expect("bar.sync" in file.read() and covered["counts"], "coverage writes its listing")

    traced = answer(reverse("trace", "--out", "t.json", "--picture", "t.svg"), folder)
    with open(os.path.join(folder, "t.json"), encoding="utf-8") as file:
        bars = [event for event in json.load(file)["traceEvents"] if event["ph"] == "X"]
    expect(traced["bars"] == len(bars) > 0, f"trace writes all of its {traced['bars']} bars")
    with open(os.path.join(folder, "t.svg"), encoding="utf-8") as file:
        picture = file.read()
    expect(picture.startswith("<svg") and "warp 3" in picture, "trace draws every warp")

    with open(os.path.join(folder, "fields.ptx"), "w", encoding="utf-8") as file:
        file.write(FIELDS)
    answer(["run", "fields.ptx", "--buffers", "x=in:in.npy", "--args", "u64:5", "i32:6", "ptr:x:4", "u8:7", "out:f.npy:u32:4"],
           folder)
    values = words_of(os.path.join(folder, "f.npy"))
    expect(values == (5, 6, 1, 7), f"words are fields of structs, and point into --buffers: {values}")

    words = ["run", SAXPY, "--block", "8", "--args", "y=random:f32:8", "x=random:f32:8:2", "f32:2", "i32:8"]
    names = [output["name"] for output in answer(words, folder)["outputs"]]
    expect(names == ["y"], f"run shows a buffer that the kernel has changed: {names}")

    with open(os.path.join(folder, REVERSE), encoding="utf-8") as file:
        text = file.read()
    with open(os.path.join(folder, "max.ptx"), "w", encoding="utf-8") as file:
        file.write(text.replace(".reqntid", ".maxntid").replace("  bar.sync", "  membar.cta;\n  bar.sync"))
    ran = answer(["run", "max.ptx", "--args", *BUFFERS], folder)
    expect(ran["block"] == [128, 1, 1], f"the block is .maxntid when nothing else is said: {ran['block']}")
    mutated = answer(["mutate", "max.ptx", "--args", *BUFFERS], folder, code=1)
    expect(mutated["caught"] == mutated["mutants"] - 1, f"mutate lets a needless fence survive: {mutated['results']}")
    excuse = ["--equivalent", "delete@membar.cta=the barrier orders as much"]
    mutated = answer(["mutate", "max.ptx", *excuse, "--args", *BUFFERS], folder)
    expect(mutated["percent"] == 100 and len(mutated["equivalent"]) == 1, f"mutate --equivalent: {mutated['equivalent']}")
    answer(["mutate", "max.ptx", *excuse, *excuse[:1], "delete@bar.sync=no", "--args", *BUFFERS], folder, code=1)

    mutated = answer(reverse("mutate", "--seeds", "1"), folder)
    expect(mutated["mutants"] == mutated["caught"] > 0, f"mutate catches all: {mutated['caught']} of {mutated['mutants']}")


def run_hazard(folder):
    """A kernel without its barrier: exit code 1, the rule, the line and the schedule in the report."""
    with open(os.path.join(folder, REVERSE), encoding="utf-8") as file:
        text = file.read()
    with open(os.path.join(folder, "racy.ptx"), "w", encoding="utf-8") as file:
        file.write(text.replace("bar.sync", "// bar.sync"))
    for command in ["run", "check"]:
        result = call([command, "racy.ptx", "--block", "128", "--args", *BUFFERS], folder)
        named = any(rule in result.stdout for rule in ("H08", "H09")) and "seed=" in result.stdout
        expect(result.returncode == 1 and named, f"{command} reports the race", result)
    result = call(["mutate", "racy.ptx", "--block", "128", "--args", *BUFFERS], folder)
    expect(result.returncode == 1 and "not clean" in result.stderr, "mutate refuses a kernel that is not clean", result)
    result = call(["run", "racy.ptx", "--block", "128", "--suppress", "H08,H09,H11", "--args", *BUFFERS], folder)
    expect(result.returncode == 0, "--suppress suppresses", result)


def run_spurious_failures(folder):
    for text, code, kinds in [("add.u32 %count, %count, 1;", 1, ["H25"]), ("", 0, [])]:
        with open(os.path.join(folder, "waits.ptx"), "w", encoding="utf-8") as file:
            file.write(WAITS.replace("@COUNT@", text))
        checked = answer(["check", "waits.ptx", "--args", "out=zeros:u32:1"], folder, code)
        found = [difference["kind"] for difference in checked["differences"]]
        expect(found == kinds, f"check of a kernel that {'counts' if text else 'does not count'} its waits: {found}")
        expect(checked["hazards"] == [], f"no other hazards: {checked['hazards']}")


def run_golden(folder):
    recorded = answer(["record", "golden.bin", "--device", "simulator", "--family", "shuffle", "--seed", "3"], folder)
    expect(recorded["vectors"] > 0 and recorded["failed"] == 0, f"record: {recorded}")
    replayed = answer(["replay", "golden.bin", "--seed", "9"], folder)
    expect(replayed["vectors"] == recorded["vectors"] and replayed["failed"] == 0, f"replay: {replayed}")
    path = os.path.join(folder, "golden.bin")
    with open(path, "rb") as file:
        data = bytearray(file.read())
    data[-5] ^= 1  # in the output of the last vector
    with open(path, "wb") as file:
        file.write(data)
    replayed = answer(["replay", "golden.bin"], folder, code=1)
    expect(replayed["failed"] == 1 and "word" in replayed["failures"][0]["what"], f"replay finds a turned bit: {replayed}")
    with open(path, "wb") as file:
        file.write(data[:-3])
    result = call(["replay", "golden.bin"], folder)
    expect(result.returncode == 2 and "cut off" in result.stderr, "replay refuses a file that is cut off", result)
    result = call(["record", "no.bin", "--family", "permute"], folder)
    if result.returncode != 0:
        nothing = not os.path.exists(os.path.join(folder, "no.bin"))
        expect("libcuda" in result.stderr and nothing, "record without a device", result)
    kernels = os.path.join(folder, "kernels")
    os.mkdir(kernels)
    result = call(["fuzz", "--family", "permute", "--ptx", "kernels"], folder)
    expect(result.returncode == 0 and len(os.listdir(kernels)) > 0, "fuzz --ptx writes its kernels", result)


def run_failures(folder):
    head = b".version 8.0\n.target sm_90a\n.address_size 64\n"
    files = {
        "junk.npy": b"junk",
        "junk.bin": b"x" * 99,
        "junk.ptx": b"this is no PTX",
        "object.ptx": b"\x7fELF\x02\x01",
        "empty.ptx": b"",
        "none.ptx": head,
        "new.ptx": head + b".entry k() {\n tcgen05.alloc x;\n ret; }\n",
    }
    for name, content in files.items():
        with open(os.path.join(folder, name), "wb") as file:
            file.write(content)
    npy(os.path.join(folder, "short.npy"), "<u4", (3,), bytes(12))
    saxpy = ["run", SAXPY, "--block", "32", "--args", "zeros:f32:8", "zeros:f32:8"]
    cases = [  # words, what stderr must say: what was found, and what was expected
        ([], ["required"]),
        (["no-such-command"], ["no-such-command"]),
        (["run", SAXPY, "--block", "32", "--no-such-option"], ["--no-such-option"]),
        (["run", "."], ["folder"]),
        (["run", "junk.ptx", "--block", "32"], ["junk.ptx:1", "`this`"]),
        (["run", "object.ptx", "--block", "32"], ["object.ptx", "compiled object", "PTX"]),
        (["list", "object.ptx"], ["object.ptx", "compiled object", "PTX"]),
        (["run", "empty.ptx", "--block", "32"], ["empty.ptx", ".version"]),
        (["run", "none.ptx", "--block", "32"], ["no entry"]),
        (["run", "new.ptx", "--block", "32"], ["new.ptx:5", "tcgen05.alloc"]),
        ([*saxpy, "f32:2"], ["3 arguments", "4 parameters", "saxpy_n 4 bytes"]),
        ([*saxpy, "f32:2", "i32:8", "i32:9"], ["5 arguments", "4 parameters"]),
        ([*saxpy, "f32:2", "i64:8"], ["'i64:8'", "has 8 bytes, expected 4"]),
        ([*saxpy, "f32:two", "i32:8"], ["'two' is no f32"]),
        ([*saxpy, "f32:2", "i32:3000000000"], ["'3000000000' is no i32"]),
        ([*saxpy, "f32:2", "8"], ["argument '8'", "expected KIND:VALUE"]),
        ([*saxpy, "f32:2", "word:8"], ["unknown kind 'word'", "expected"]),
        ([*saxpy, "f32:2", "zeros:f99:8"], ["type is 'f99'", "expected"]),
        ([*saxpy, "f32:2", "zeros:f32:-8"], ["size is '-8'", "expected"]),
        ([*saxpy, "f32:2", "zeros:f32:9999999999999"], ["expected 1 byte to 8 GiB"]),
        ([*saxpy, "f32:2", "in:junk.npy"], ["junk.npy", "npy"]),
        ([*saxpy, "f32:2", "in:missing.npy"], ["missing.npy"]),
        ([*saxpy, "f32:2", "ptr:q"], ["no buffer is called 'q'"]),
        ([*saxpy, "f32:2", "tma:arg1:swizzle=65:box=8"], ["swizzle is '65'", "expected"]),
        (reverse("check", "--expect", "nothing=junk.npy"), ["'nothing'", "there are out"]),
        (reverse("check", "--expect", "out=junk.npy"), ["junk.npy"]),
        (reverse("check", "--expect", "out=short.npy"), ["short.npy is u32", "3", "128"]),
        (reverse("check", "--expect", "out"), ["expected NAME=FILE.npy"]),
        (reverse("check", "--seeds", "0"), ["--seeds", "1 to 1000000"]),
        (reverse("run", "--out", "x"), ["--out"]),
        (reverse("run", "--buffers", "zeros:u32:8"), ["--buffers has 'zeros:u32:8'", "expected a name"]),
        (reverse("run", "--buffers", "x=i32:8"), ["--buffers has 'x=i32:8'", "expected memory"]),
        (reverse("run", "--buffers", "in=zeros:u32:8"), ["'in' is the name of an earlier one"]),
        (reverse("mutate", "--equivalent", "delete"), ["'delete'", "expected KIND@WHERE=REASON"]),
        (reverse("run", "--spurious", "2"), ["--spurious"]),
        (reverse("trace", "--picture", "t.jpg"), ["t.jpg", ".png or .svg"]),
        (reverse("trace", "--first-cta", "7"), ["7", "1 CTA"]),
        (reverse("trace", "--from", "9", "--to", "9"), ["--from is 9", "--to is 9"]),
        (reverse("trace", "--from", "999999"), ["--from is 999999", "steps"]),
        (["trace", REVERSE, "--block", "128", "--args", *BUFFERS], ["--out", "--picture"]),
        (reverse("trace", "--out", "no/folder/t.json"), ["no/folder"]),
        (reverse("coverage", "--out", "no/folder/t.txt"), ["no/folder"]),
        (reverse("run", buffers=["out:no/folder/o.npy:u32:128", "random:u32:128"]), ["no/folder"]),
        (["record", "no/folder/x.bin", "--device", "simulator"], ["no/folder"]),
        (["record", "x.bin", "--device", "toaster"], ["toaster", "driver"]),
        (["fuzz", "--family", "nothing"], ["'nothing'", "wgmma"]),
        (["fuzz", "--ptx", "no/folder"], ["no/folder"]),
        (["fuzz", "--seed", "one"], ["'one'", "whole number"]),
        (["replay", "missing.bin"], ["missing.bin"]),
        (["replay", "junk.bin"], ["junk.bin", "golden vectors"]),
    ]
    if "--filter" in call(["bench", "--help"], folder).stdout:  # a build without benchmarks says so in two words
        cases += [
            (["bench", "--filter", "nothing"], ["'nothing'"]),
            (["bench", "--min-time", "soon"], ["soon"]),
        ]
    for command in LAUNCHING:
        cases += [
            ([command], ["file is required"]),
            ([command, "missing.ptx"] + (["--out", "x"] if command == "trace" else []), ["missing.ptx"]),
            (reverse(command, "--entry", "other"), ['"other"', "reverse"]),
            (reverse(command, "--grid", "0"), ["grid is 0", "expected 1 to"]),
            (reverse(command, "--grid", "two"), ["--grid is 'two'", "expected X"]),
            (reverse(command, block="1025"), ["block is 1025", "1024 threads"]),
            (reverse(command, block="-1"), ["--block is '-1'", "expected X"]),
            (reverse(command, "--cluster", "3"), ["cluster"]),
            (reverse(command, "--smem", "300000"), ["300", "232448"]),
            (reverse(command, "--suppress", "H99"), ["'H99'", "H09"]),
            (reverse(command, "--budget", "-5"), ["'-5'", "whole number"]),
            (reverse(command, "--registers", "many"), ["'many'", "whole number"]),
            (reverse(command, buffers=["zeros:u32:128"]), ["1 argument", "2 parameters"]),
        ]
        if command != "check":
            cases += [
                (reverse(command, "--seed", "abc"), ["'abc'", "whole number"]),
                (reverse(command, "--async", "never"), ["never", "eager"]),
            ]
    before = sorted(os.listdir(folder))
    for words, names in cases:
        result = call(words, folder)
        line = f"ptxsim {' '.join(words)}"
        expect(result.returncode == 2, f"{line} exits 2", result)
        for name in names:
            expect(name in result.stderr, f"{line} says {name!r}", result)
        expect(not result.stdout, f"{line} prints nothing on stdout", result)
    after = sorted(os.listdir(folder))
    expect(after == before, f"bad calls leave nothing behind: {set(after) - set(before)}")
    result = call(["list", "new.ptx"], folder)
    named = "NOT SUPPORTED" in result.stdout and "tcgen05.alloc" in result.stdout
    expect(result.returncode == 1 and named, "list names what is new", result)


def run_half_written(folder):
    npy(os.path.join(folder, "old.npy"), "<u4", (128,), bytes(512))
    with open(os.path.join(folder, "old.npy"), "rb") as file:
        old = file.read()
    before = sorted(os.listdir(folder))
    stopped = call(reverse("run", "--budget", "10", buffers=["out:old.npy:u32:128", "random:u32:128"]), folder)
    said = "livelock" in stopped.stdout and "nothing is written" in stopped.stdout
    expect(stopped.returncode == 1 and said, "a run that is cut short", stopped)
    # A limit on the file's size stands for the full disk.
    full = call(reverse("run", buffers=["out:old.npy:u32:128", "random:u32:128"]), folder, restore_signals=False,
                preexec_fn=lambda: resource.setrlimit(resource.RLIMIT_FSIZE, (100, 100)))
    expect(full.returncode == 1 and "old.npy" in full.stderr, "a write that fails midway exits 1", full)
    with open(os.path.join(folder, "old.npy"), "rb") as file:
        expect(file.read() == old, "what was not finished left the old file as it was")
    expect(sorted(os.listdir(folder)) == before, f"and nothing new: {os.listdir(folder)}")


with tempfile.TemporaryDirectory() as scratch:
    os.symlink(os.path.join(ROOT, "sim"), os.path.join(scratch, "sim"))
    run_help_and_examples(scratch)
    run_answers(scratch)
    run_hazard(scratch)
    run_spurious_failures(scratch)
    run_golden(scratch)
    run_failures(scratch)
    run_half_written(scratch)
print("FAILED:" if failures else "all of the tool's checks passed", *failures, sep="\n  ")
sys.exit(1 if failures else 0)
