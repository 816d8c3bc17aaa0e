#!/usr/bin/env python3
# SPDX-License-Identifier: Apache-2.0
"""Times attention in other libraries on the first CUDA device, for `attend_bench_cuda`.

    bench/cuda/peers.py                               which peers are here, or why there are none
    bench/cuda/peers.py "attention_fwd b=4 hq=16 sq=4096 sk=4096 d=128 dtype=f16 mask=causal"
    bench/cuda/peers.py --serve                       what the benchmark runs: a question per line on stdin, an answer per line on stdout

Peers, where they can be imported:
    cudnn    scaled_dot_product_attention of PyTorch, cuDNN backend
    flash2   the same, FlashAttention-2 backend
    flash3   flash_attn_interface, the package of FlashAttention-3
Every answer is compared with fp64 on a few rows before it is timed. Questions, each a JSON object:
    {"open": Problem line, "sets": n}              tensors, n sets that take turns -> {"peers": [...], "refused": {name: why}}
    {"time": name, "runs": n, "hide": seconds}     -> {"seconds": of one run on the device, "host_seconds": to put it there}
    {"error": Problem line}                        -> {"rms": {name: rms distance from fp64 on inputs with outliers}}
    {"close": true}                                frees the tensors -> {}
"""
import argparse
import contextlib
import glob
import json
import math
import os
import sys
import time
import warnings

# Relative to the rms of a row: far above rounding, far below a wrong mask.
TOLERANCE = {"f16": 1e-2, "bf16": 3e-2}
FLUSH_BYTES = 512 << 20


class Refused(Exception):
    """A peer does not take a Problem; the text says why."""


class Problem:
    """The fields of a Problem line that peers can take; Refused for the rest."""

    def __init__(self, line):
        words = line.split()
        if not words or words[0] != "attention_fwd" or any("=" not in word for word in words[1:]):
            raise Refused(f"not a Problem line: {line!r}")
        fields = dict(word.split("=", 1) for word in words[1:])
        if extra := sorted(set(fields) - {"b", "hq", "hk", "sq", "sk", "d", "dv", "dtype", "mask", "layout"}):
            raise Refused(f"{extra[0]} is not asked of peers")
        if fields.get("layout", "bshd") != "bshd" or "," in fields.get("sq", "") + fields.get("sk", ""):
            raise Refused("ragged batches are not asked of peers")
        self.b = int(fields.get("b", 1))
        self.hq = int(fields.get("hq", 1))
        self.hk = int(fields.get("hk", self.hq))
        self.sq, self.sk, self.d = (int(fields.get(name, 0)) for name in ("sq", "sk", "d"))
        self.dtype = fields.get("dtype", "f32")
        if self.dtype not in TOLERANCE or int(fields.get("dv", self.d)) != self.d or min(self.b, self.sq, self.sk, self.d) < 1:
            raise Refused("its type, columns or size is not asked of peers")
        mask = fields.get("mask", "none").split(":")
        self.causal = mask == ["causal"]
        self.window = (int(mask[1]), int(mask[2])) if mask[0] == "window" and len(mask) == 3 else None
        if mask != ["none"] and not self.causal and self.window is None:
            raise Refused("this mask is not asked of peers")
        if (self.causal or self.window) and self.sq != self.sk:
            raise Refused("sq != sk under a mask: the libraries align it differently")

    def keys(self, row):
        """First and one past the last key that the row sees."""
        if self.causal:
            return 0, row + 1
        if self.window:
            return max(0, row - self.window[0]), min(self.sk, row + self.window[1] + 1)
        return 0, self.sk


class Sdpa:
    """One backend of PyTorch's own attention. Tensors lie as [batch, row, head, column]; torch wants heads before rows in the shape."""

    def __init__(self, torch, backend, text):
        self.torch, self.backend, self.text = torch, backend, text
        self.repeat = False

    def context(self):
        from torch.nn.attention import sdpa_kernel
        return sdpa_kernel([self.backend])

    def prepare(self, problem, q, k, v):
        if problem.window:
            raise Refused("windows are not in this interface")
        self.repeat = False
        args = self.arguments(problem, q, k, v)
        if problem.hq == problem.hk:
            return args
        try:
            with self.context():
                self.run(problem, args)
        except RuntimeError:  # no grouped heads in this backend: keys and values once for each query head
            self.repeat = True
            args = self.arguments(problem, q, k, v)
        return args

    def arguments(self, problem, q, k, v):
        q, k, v = (tensor.transpose(1, 2) for tensor in (q, k, v))
        if self.repeat:
            k, v = (tensor.repeat_interleave(problem.hq // problem.hk, dim=1) for tensor in (k, v))
        return q, k, v

    def run(self, problem, args):
        grouped = {"enable_gqa": True} if args[0].shape[1] != args[1].shape[1] else {}
        return self.torch.nn.functional.scaled_dot_product_attention(*args, is_causal=problem.causal, **grouped)

    def rows(self, output):
        return output.transpose(1, 2)


class Flash3:
    """The package of FlashAttention-3."""

    def __init__(self, module, text):
        self.module, self.text = module, text
        self.repeat = False

    def context(self):
        return contextlib.nullcontext()

    def prepare(self, problem, q, k, v):
        return q, k, v

    def run(self, problem, args):
        output = self.module.flash_attn_func(*args, causal=problem.causal, window_size=problem.window or (-1, -1))
        return output[0] if isinstance(output, tuple) else output

    def rows(self, output):
        return output


def find_peers():
    """(torch or None, {name: peer}, reason why there is none)."""
    try:
        import torch
    except ImportError as error:
        return None, {}, f"no torch: {error}"
    if not torch.cuda.is_available():
        return None, {}, f"torch {torch.__version__} sees no CUDA device"
    try:
        from torch.nn.attention import SDPBackend
    except ImportError as error:
        return None, {}, f"torch {torch.__version__} is too old: {error}"
    peers = {}
    if hasattr(SDPBackend, "CUDNN_ATTENTION"):
        peers["cudnn"] = Sdpa(torch, SDPBackend.CUDNN_ATTENTION, f"torch {torch.__version__}, cuDNN {torch.backends.cudnn.version()}")
    peers["flash2"] = Sdpa(torch, SDPBackend.FLASH_ATTENTION, f"torch {torch.__version__}, FlashAttention-2")
    try:
        import flash_attn_interface
        peers["flash3"] = Flash3(flash_attn_interface, f"FlashAttention-3 {getattr(flash_attn_interface, '__version__', '')}".strip())
    except ImportError:
        pass
    return torch, peers, ""


def cublas_paths():
    """What pip installed beside torch."""
    found = []
    for folder in sys.path:
        found += glob.glob(os.path.join(folder, "nvidia", "*", "lib", "libcublas.so.1[0-9]"))
    return sorted(found, reverse=True)


class Server:
    def __init__(self):
        self.torch, self.peers, self.reason = find_peers()
        self.problem, self.ready, self.sets, self.index = None, {}, [], 0
        if self.torch is not None:
            self.begin, self.end = (self.torch.cuda.Event(enable_timing=True) for _ in range(2))
            self.buffer = self.torch.empty(FLUSH_BYTES, dtype=self.torch.uint8, device="cuda")
            self.flush_seconds = 0.0
            for _ in range(3):  # the last one is warm
                self.flush_seconds = self.timed(lambda: [self.buffer.zero_() for _ in range(4)])[0] / 4

    def hello(self):
        hello = {"peers": {name: peer.text for name, peer in self.peers.items()}, "libraries": cublas_paths()}
        if not self.peers:
            hello["reason"] = self.reason
        else:
            hello["device"] = self.torch.cuda.get_device_name()
        return hello

    def timed(self, work):
        self.begin.record()
        start = time.perf_counter()
        work()
        host = time.perf_counter() - start
        self.end.record()
        self.end.synchronize()
        return self.begin.elapsed_time(self.end) * 1e-3, host

    def draw(self, problem, outliers=False):
        torch = self.torch
        kind = {"f16": torch.float16, "bf16": torch.bfloat16}[problem.dtype]
        drawn = []
        for rows, heads in ((problem.sq, problem.hq), (problem.sk, problem.hk), (problem.sk, problem.hk)):
            shape = (problem.b, rows, heads, problem.d)
            values = torch.randn(shape, device="cuda", dtype=torch.float32)
            if outliers:
                values += 10 * torch.randn(shape, device="cuda") * (torch.rand(shape, device="cuda") < 0.001)
            drawn.append(values.to(kind))
        return drawn

    def check(self, problem, tensors, o):
        """Raises Refused when rows of o, [batch, row, head, column], are not attention."""
        q, k, v = tensors
        group = problem.hq // problem.hk
        for n, row, head in {(0, 0, 0), (problem.b - 1, problem.sq - 1, problem.hq - 1), (0, problem.sq // 2, problem.hq // 2)}:
            first, last = problem.keys(row)
            scores = k[n, first:last, head // group].double() @ q[n, row, head].double() / math.sqrt(problem.d)
            right = scores.softmax(0) @ v[n, first:last, head // group].double()
            error = ((o[n, row, head].double() - right).square().mean() / right.square().mean()).sqrt().item()
            if not error <= TOLERANCE[problem.dtype]:
                raise Refused(f"wrong answer: row {row}, head {head} is off by {error:.2g} of its rms")

    def open(self, question):
        self.close()
        problem = Problem(question["open"])
        torch, refused = self.torch, {}
        tensors = [self.draw(problem) for _ in range(max(1, int(question.get("sets", 1))))]
        for name, peer in self.peers.items():
            try:
                with warnings.catch_warnings(record=True) as said, torch.no_grad():
                    warnings.simplefilter("always")
                    try:
                        sets = [peer.prepare(problem, *each) for each in tensors]
                        with peer.context():
                            output = peer.run(problem, sets[0])
                    except RuntimeError as error:
                        reasons = [str(warning.message).split("(Triggered")[0].strip() for warning in said]
                        raise Refused("; ".join([str(error).split("\n")[0], *reasons])) from None
                self.check(problem, tensors[0], peer.rows(output))
                self.ready[name] = sets
            except Exception as reason:  # what one library does not take, or breaks at, the others may do
                refused[name] = str(reason) or type(reason).__name__
        self.problem = problem
        notes = {name: "keys and values repeated for each query head" for name in self.ready if self.peers[name].repeat}
        return {"peers": list(self.ready), "refused": refused, "notes": notes}

    def time(self, question):
        peer, sets = self.peers[question["time"]], self.ready[question["time"]]
        runs = max(1, int(question.get("runs", 1)))
        fills = math.ceil(float(question.get("hide", 0)) / self.flush_seconds) if self.flush_seconds > 0 else 1
        with self.torch.no_grad(), peer.context():
            for _ in range(min(max(fills, 1), 20)):
                self.buffer.zero_()

            def work():
                for _ in range(runs):
                    peer.run(self.problem, sets[self.index % len(sets)])
                    self.index += 1
            seconds, host = self.timed(work)
        return {"seconds": seconds / runs, "host_seconds": host / runs}

    def error(self, question):
        torch = self.torch
        problem = Problem(question["error"])
        tensors = self.draw(problem, outliers=True)
        group = problem.hq // problem.hk
        q, k, v = (tensor.transpose(1, 2) for tensor in tensors)
        k, v = (tensor.repeat_interleave(group, dim=1) for tensor in (k, v))
        scale = 1 / math.sqrt(problem.d)
        right = torch.empty(q.shape, dtype=torch.float64, device="cuda")
        standard = torch.empty_like(right)
        for n in range(problem.b):
            for head in range(problem.hq):
                scores = q[n, head].double() @ k[n, head].double().T * scale
                right[n, head] = scores.softmax(-1) @ v[n, head].double()
                standard[n, head] = ((q[n, head] @ k[n, head].T * scale).softmax(-1) @ v[n, head]).double()

        def rms(output):
            return (output.double() - right).square().mean().sqrt().item()
        found, refused = {"standard": rms(standard)}, {}
        for name, peer in self.peers.items():
            try:
                with torch.no_grad():
                    args = peer.prepare(problem, *tensors)
                    with peer.context():
                        found[name] = rms(peer.rows(peer.run(problem, args)).transpose(1, 2))
            except Exception as reason:
                refused[name] = str(reason).split("\n", maxsplit=1)[0] or type(reason).__name__
        return {"rms": found, "refused": refused}

    def close(self, _=None):
        self.problem, self.ready = None, {}
        if self.torch is not None:
            self.torch.cuda.empty_cache()
        return {}

    def answer(self, question):
        for name in ("open", "time", "error", "close"):
            if name in question:
                try:
                    return getattr(self, name)(question)
                except Refused as reason:
                    return {"reason": str(reason)}
                except Exception as error:  # a peer that breaks is a finding, and the others go on
                    return {"reason": f"{type(error).__name__}: {error}".split("\n", maxsplit=1)[0]}
        return {"reason": "expected one of open, time, error, close"}


def serve():
    """Answers questions until stdin ends. What a library prints goes to stderr, so that stdout holds answers alone."""
    answers = os.fdopen(os.dup(1), "w", encoding="utf-8")
    os.dup2(2, 1)
    try:
        server = Server()
        hello = server.hello()
    except Exception as error:
        server, hello = None, {"peers": {}, "libraries": cublas_paths(), "reason": f"{type(error).__name__}: {error}"}
    print(json.dumps(hello), file=answers, flush=True)
    for line in sys.stdin:
        try:
            reply = server.answer(json.loads(line)) if server else {"reason": hello["reason"]}
        except ValueError as error:
            reply = {"reason": f"not JSON: {error}"}
        print(json.dumps(reply), file=answers, flush=True)


def main():
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("problem", nargs="*", help="Problem lines")
    parser.add_argument("--serve", action="store_true")
    options = parser.parse_args()
    if options.serve:
        serve()
        return 0
    server = Server()
    print(json.dumps(server.hello()))
    if not server.peers:
        return 1
    for line in options.problem:
        opened = server.answer({"open": line})
        print(json.dumps({"problem": line, **opened}))
        for name in opened.get("peers", []):
            server.answer({"time": name, "runs": 3})
            print(json.dumps({"peer": name, **server.answer({"time": name, "runs": 10, "hide": 1e-3})}))
    return 0


if __name__ == "__main__":
    sys.exit(main())
