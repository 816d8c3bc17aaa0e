#!/usr/bin/env python3
# SPDX-License-Identifier: Apache-2.0
"""Times attention in other libraries, for `attend bench --peers`.

    bench/peers.py --install                          onnxruntime, into a virtual environment of its own (about 200 MB)
    bench/peers.py "attention_fwd hq=8 sq=512 sk=512 d=64" [--threads 2] [--min-time 0.5]
    bench/peers.py --serve                            what the tool runs: a question per line on stdin, an answer per line on stdout

The environment is $ATTEND_PEERS, else ~/.cache/attend/peers; nothing is installed unless asked. Peers:
    onnxruntime   full: com.microsoft MultiHeadAttention; causal and grouped heads: GroupQueryAttention; f32
    torch         scaled_dot_product_attention, f32, bf16 and f16, when the environment has it. PyPI's Linux wheel brings CUDA with
                  it (several GB), so --install leaves it out; put a CPU build there by hand.
A peer's answer is compared with numpy in f64 on a few rows before it is timed.
"""
import argparse
import json
import os
import subprocess
import sys
import time

FOLDER = os.environ.get("ATTEND_PEERS") or os.path.expanduser("~/.cache/attend/peers")
PYTHON = os.path.join(FOLDER, "bin", "python")
HINT = "no peer is installed: bench/peers.py --install"
# Inputs are standard normal, so that outputs are about 1/sqrt(keys); errors are taken relative to the rms of the answer.
TOLERANCE = {"f32": 1e-4, "f16": 1e-2, "bf16": 3e-2}


class Refused(Exception):
    """A peer does not take a problem; the text says why."""


class Problem:
    """The fields of a Problem line that peers can take; Refused for the rest."""

    def __init__(self, line):
        words = line.split()
        if not words or words[0] != "attention_fwd" or any("=" not in word for word in words[1:]):
            raise Refused(f"not a Problem line: {line!r}")
        fields = dict(word.split("=", 1) for word in words[1:])
        known = {"b", "hq", "hk", "sq", "sk", "d", "dv", "dtype", "mask", "layout"}
        if extra := sorted(set(fields) - known):
            raise Refused(f"{extra[0]} is not asked of peers")
        self.b = int(fields.get("b", 1))
        self.hq = int(fields.get("hq", 1))
        self.hk = int(fields.get("hk", self.hq))
        self.sq, self.sk, self.d = (int(fields.get(name, 0)) for name in ("sq", "sk", "d"))
        self.dv = int(fields.get("dv", self.d))
        self.dtype = fields.get("dtype", "f32")
        self.mask = fields.get("mask", "none")
        if self.mask not in ("none", "causal") or fields.get("layout", "bshd") != "bshd" or self.dtype not in TOLERANCE:
            raise Refused("mask, layout or dtype is not asked of peers")
        if min(self.b, self.hq, self.hk, self.sq, self.sk, self.d, self.dv) < 1:
            raise Refused("an empty problem")
        if self.mask == "causal" and self.sq != self.sk:
            raise Refused("causal with sq != sk: the libraries align it differently")


def inputs_of(problem, np):
    """q, k, v as [batch, row, head, column] f32."""
    rng = np.random.default_rng(0)
    shapes = ((problem.sq, problem.hq, problem.d), (problem.sk, problem.hk, problem.d), (problem.sk, problem.hk, problem.dv))
    return [rng.standard_normal((problem.b, *shape), dtype=np.float32) for shape in shapes]


def check(problem, q, k, v, o, np):
    """Raises Refused when rows of o, [batch, row, head, column], are not attention."""
    group = problem.hq // problem.hk
    for n, row, head in {(0, 0, 0), (problem.b - 1, problem.sq - 1, problem.hq - 1), (0, problem.sq // 2, problem.hq // 2)}:
        keys = row + 1 if problem.mask == "causal" else problem.sk
        scores = k[n, :keys, head // group].astype(np.float64) @ q[n, row, head].astype(np.float64) / np.sqrt(problem.d)
        weights = np.exp(scores - scores.max())
        right = weights / weights.sum() @ v[n, :keys, head // group].astype(np.float64)
        error = np.sqrt(np.mean((o[n, row, head] - right) ** 2) / np.mean(right**2))
        if not error <= TOLERANCE[problem.dtype]:
            raise Refused(f"wrong answer: row {row}, head {head} is off by {error:.2g} of its rms")


def time_runs(run, min_time, np):
    """Median, p10, p90 in seconds and the number of runs."""
    run()
    seconds = []
    while sum(seconds) < min_time or len(seconds) < 5:
        begin = time.perf_counter()
        run()
        seconds.append(time.perf_counter() - begin)
    p10, median, p90 = np.percentile(seconds, (10, 50, 90))
    return {"median_s": median, "p10_s": p10, "p90_s": p90, "runs": len(seconds)}


def onnxruntime_graph(problem):
    """One node: MultiHeadAttention for full attention, GroupQueryAttention (the CPU's flash path) for causal or grouped heads."""
    from onnx import TensorProto, helper
    kind = TensorProto.FLOAT
    width_q, width_k = problem.hq * problem.d, problem.hk * problem.d
    inputs = [helper.make_tensor_value_info("q", kind, [problem.b, problem.sq, width_q]),
              helper.make_tensor_value_info("k", kind, [problem.b, problem.sk, width_k]),
              helper.make_tensor_value_info("v", kind, [problem.b, problem.sk, problem.hk * problem.dv])]
    outputs = [helper.make_tensor_value_info("o", kind, [problem.b, problem.sq, problem.hq * problem.dv])]
    constants = []
    if problem.mask == "none" and problem.hq == problem.hk:
        name = "MultiHeadAttention"
        node = helper.make_node(name, ["q", "k", "v"], ["o"], domain="com.microsoft", num_heads=problem.hq)
    elif problem.mask == "causal" and problem.d == problem.dv:
        name = "GroupQueryAttention"
        constants = [helper.make_tensor("lengths", TensorProto.INT32, [problem.b], [problem.sk - 1] * problem.b),
                     helper.make_tensor("total", TensorProto.INT32, [], [problem.sk])]
        node = helper.make_node(name, ["q", "k", "v", "", "", "lengths", "total"], ["o", "present_k", "present_v"],
                                domain="com.microsoft", num_heads=problem.hq, kv_num_heads=problem.hk)
        outputs += [helper.make_tensor_value_info(each, kind, [problem.b, problem.hk, problem.sk, problem.d])
                    for each in ("present_k", "present_v")]
    else:
        raise Refused("no operator for full attention with grouped heads, or causal with dv != d")
    graph = helper.make_graph([node], "attention", inputs, outputs, constants)
    opsets = [helper.make_opsetid("", 17), helper.make_opsetid("com.microsoft", 1)]
    return name, helper.make_model(graph, opset_imports=opsets, ir_version=8).SerializeToString()


def time_onnxruntime(problem, threads, min_time):
    import numpy as np
    import onnxruntime as ort
    if problem.dtype != "f32":
        raise Refused("its CPU kernels take f32")
    name, model = onnxruntime_graph(problem)
    options = ort.SessionOptions()
    options.intra_op_num_threads = threads
    options.inter_op_num_threads = 1
    options.log_severity_level = 3
    session = ort.InferenceSession(model, options, providers=["CPUExecutionProvider"])
    q, k, v = inputs_of(problem, np)
    binding = session.io_binding()
    for each, array in (("q", q), ("k", k), ("v", v)):
        binding.bind_cpu_input(each, array.reshape(*array.shape[:2], -1))
    for output in session.get_outputs():
        binding.bind_ortvalue_output(output.name, ort.OrtValue.ortvalue_from_shape_and_type(output.shape, np.float32))
    session.run_with_iobinding(binding)
    o = binding.get_outputs()[0].numpy().reshape(problem.b, problem.sq, problem.hq, problem.dv)
    check(problem, q, k, v, o, np)
    timing = time_runs(lambda: session.run_with_iobinding(binding), min_time, np)
    return {"kernel": f"onnxruntime_{ort.__version__}_{name}", "arithmetic": "f32", **timing}


def time_torch(problem, threads, min_time):
    import numpy as np
    import torch
    kind = {"f32": torch.float32, "bf16": torch.bfloat16, "f16": torch.float16}[problem.dtype]
    torch.set_num_threads(threads)
    arrays = inputs_of(problem, np)
    # The tensors keep their [batch, row, head, column] memory; torch wants heads before rows in the shape.
    q, k, v = (torch.from_numpy(array).to(kind).transpose(1, 2) for array in arrays)
    grouped = {"enable_gqa": True} if problem.hq != problem.hk else {}

    def run():
        with torch.inference_mode():
            return torch.nn.functional.scaled_dot_product_attention(q, k, v, is_causal=problem.mask == "causal", **grouped)

    rounded = [tensor.transpose(1, 2).float().numpy() for tensor in (q, k, v)]
    check(problem, *rounded, run().transpose(1, 2).float().numpy(), np)
    arithmetic = "bf16_dot" if problem.dtype == "bf16" else "f32"
    return {"kernel": f"torch_{torch.__version__}_sdpa", "arithmetic": arithmetic, **time_runs(run, min_time, np)}


PEERS = {"onnxruntime": time_onnxruntime, "torch": time_torch}


def installed():
    """{name: version} of the peers that can be imported."""
    found = {}
    for name in PEERS:
        try:
            found[name] = __import__(name).__version__
        except ImportError:
            continue
    return found


def answer(question, names):
    """Timings of every peer that takes the problem, and why the others do not."""
    timings, refused = [], {}
    for name in names:
        try:
            problem = Problem(question["problem"])
            timings.append(PEERS[name](problem, int(question.get("threads", 1)), float(question.get("min_time", 0.5))))
        except Refused as reason:
            refused[name] = str(reason)
            if str(reason).startswith("wrong answer"):
                timings.append({"kernel": name, "reason": str(reason)})
        except Exception as error:  # a peer that breaks is a finding, and the others go on
            refused[name] = f"{type(error).__name__}: {error}"
    return {"timings": timings, "refused": refused}


def serve():
    """Answers questions until stdin ends. What a library prints goes to stderr, so that stdout holds answers alone."""
    answers = os.fdopen(os.dup(1), "w", encoding="utf-8")
    os.dup2(2, 1)
    names = installed()
    hello = {"peers": [f"{name} {version}" for name, version in names.items()]}
    if not names:
        hello["reason"] = HINT
    print(json.dumps(hello), file=answers, flush=True)
    for line in sys.stdin:
        try:
            reply = answer(json.loads(line), names)
        except (ValueError, KeyError, TypeError) as error:
            reply = {"timings": [], "refused": {"question": str(error)}}
        print(json.dumps(reply), file=answers, flush=True)


def install():
    print(f"peers: a virtual environment in {FOLDER} with onnxruntime, onnx and numpy from PyPI")
    subprocess.run([sys.executable, "-m", "venv", FOLDER], check=True)
    subprocess.run([PYTHON, "-m", "pip", "install", "--quiet", "onnxruntime", "onnx", "numpy"], check=True)


def main():
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("problem", nargs="*", help="Problem lines")
    parser.add_argument("--threads", type=int, default=1)
    parser.add_argument("--min-time", type=float, default=0.5)
    parser.add_argument("--install", action="store_true")
    parser.add_argument("--serve", action="store_true")
    options = parser.parse_args()
    if options.install:
        try:
            install()
        except (subprocess.CalledProcessError, OSError) as error:
            print(f"peers: {error}", file=sys.stderr)
            return 1
        return 0
    if os.path.exists(PYTHON) and os.path.realpath(sys.prefix) != os.path.realpath(FOLDER):
        os.execv(PYTHON, [PYTHON, os.path.abspath(__file__), *sys.argv[1:]])
    if options.serve:
        serve()
        return 0
    names = installed()
    if not names:
        print(f"peers: {HINT}", file=sys.stderr)
        return 1
    if not options.problem:
        parser.error("expected Problem lines, --install or --serve")
    for line in options.problem:
        reply = answer({"problem": line, "threads": options.threads, "min_time": options.min_time}, names)
        for timing in reply["timings"]:
            print(json.dumps({"problem": line, "threads": options.threads, **timing}))
        for name, reason in reply["refused"].items():
            print(f"peers: {name} refuses {line}: {reason}", file=sys.stderr)
    return 0


if __name__ == "__main__":
    sys.exit(main())
