#!/usr/bin/env python3
# SPDX-License-Identifier: Apache-2.0
"""attend-llm beside llama.cpp, on the same file of weights: tokens per second of prompts and of decoding behind them.

    bench/llama_cpp.py --install                 llama.cpp, as PyPI's package xllamacpp has it (34 MB), into a folder of its own
    bench/llama_cpp.py [--prompts 512,4096] [--threads 2] [--rounds 3] [--json FILE]

Both take turns; figures are medians over rounds, ratios are taken within rounds. Each has its own defaults: llama.cpp rounds what
linear layers multiply to 8 bits and keeps keys and values in f16, attend-llm computes and keeps both in f32 (--kv-format changes
that). The folder is $ATTEND_LLAMA, else ~/.cache/attend/llama-peer; nothing is installed unless asked.
"""
import argparse
import json
import os
import random
import statistics
import subprocess
import sys
from pathlib import Path

TREE = Path(__file__).resolve().parent.parent
sys.dont_write_bytecode = True
sys.path.insert(0, str(TREE / "tools"))
from machine import origin  # noqa: E402
from models import DEFAULT_CACHE, MODELS  # noqa: E402

PACKAGE = "xllamacpp==2026.10.11549"
FOLDER = Path(os.environ.get("ATTEND_LLAMA") or Path("~/.cache/attend/llama-peer").expanduser())


def parse_args():
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--install", action="store_true", help="fetch the package and stop")
    parser.add_argument("--program", type=Path, default=TREE / "build/attend-llm")
    parser.add_argument("--model", default="smollm2", help="name, as scripts/get-model takes it (%(default)s)")
    parser.add_argument("--prompts", default="512,4096", help="lengths of prompts, joined by commas (%(default)s)")
    parser.add_argument("--generated", type=int, default=32, help="tokens to decode behind each (%(default)s)")
    parser.add_argument("--threads", type=int, default=os.cpu_count(), help="of both (%(default)s)")
    parser.add_argument("--rounds", type=int, default=3)
    parser.add_argument("--kv-format", default="f32", help="attend-llm's cache (%(default)s)")
    parser.add_argument("--json", type=Path, help="append a line for each figure to this file")
    args = parser.parse_args()
    try:
        args.prompts = [int(word) for word in args.prompts.split(",")]
    except ValueError:
        parser.error(f"--prompts is {args.prompts!r}, expected numbers joined by commas")
    for name, numbers in (("--prompts", args.prompts), ("--generated", [args.generated - 1]), ("--threads", [args.threads]), ("--rounds", [args.rounds])):
        if min(numbers) < 1:
            parser.error(f"{name}: expected a number of at least {2 if name == '--generated' else 1}")
    names = [name for name, model in MODELS.items() if model.path.endswith(".gguf")]  # what both can read
    if args.model not in names:
        parser.error(f"--model is {args.model!r}, expected one of {', '.join(names)}")
    return args


def install():
    command = [sys.executable, "-m", "pip", "install", "--quiet", "--disable-pip-version-check", "--no-deps", "--only-binary", ":all:",
               "--upgrade", "--target", str(FOLDER), PACKAGE]
    if subprocess.run(command).returncode != 0:
        sys.exit(f"llama_cpp.py: pip could not install {PACKAGE}")
    print(FOLDER)


class LlamaCpp:
    def __init__(self, args, path):
        sys.path.insert(0, str(FOLDER))
        try:
            import xllamacpp
        except ImportError as error:
            sys.exit(f"llama_cpp.py: no llama.cpp ({error}): bench/llama_cpp.py --install")
        params = xllamacpp.CommonParams()
        params.model.path = str(path)
        params.n_ctx = max(args.prompts) + args.generated + 8
        params.n_parallel = 1
        params.cpuparams.n_threads = params.cpuparams_batch.n_threads = args.threads
        params.verbosity = 0
        self.server = xllamacpp.Server(params)
        self.system = xllamacpp.get_system_info().strip()

    def measure(self, tokens, generated):
        """Tokens per second of the prompt, and of decoding behind it."""
        found = []
        self.server.handle_completions({"prompt": tokens, "n_predict": generated, "temperature": 0, "ignore_eos": True, "cache_prompt": False}, found.append)
        answer = json.loads(found[0]) if found and isinstance(found[0], str) else found[0] if found else {}
        times = answer.get("timings")
        if not times or times["prompt_n"] != len(tokens) or times["predicted_n"] != generated:
            sys.exit(f"llama_cpp.py: llama.cpp answered {answer}, expected {len(tokens)} tokens of prompt and {generated} more")
        # Its clock for decoding starts when the first token is there, which the prompt has paid for.
        return times["prompt_per_second"], 1e3 * (generated - 1) / times["predicted_ms"]


def measure_attend(args, prompt):
    rates = []
    for words in (["--prompts", prompt, "--generated", 0], ["--prompts", 1, "--depths", prompt, "--generated", args.generated]):
        words = ["bench", *words, "--repeat", 1, "--threads", args.threads, "--kv-format", args.kv_format, "--model", args.model, "--json", "--quiet"]
        done = subprocess.run([args.program, *map(str, words)], capture_output=True, text=True)
        if done.returncode != 0:
            sys.exit(f"llama_cpp.py: attend-llm exited with {done.returncode}: {done.stderr.strip()}")
        rates.append(json.loads(done.stdout.splitlines()[-1])["tokens_per_second"])
    return rates


def main():
    args = parse_args()
    if args.install:
        return install()
    path = DEFAULT_CACHE.expanduser() / MODELS[args.model].path
    for needed, how in ((args.program, "make build"), (path, f"scripts/get-model {args.model}")):
        if not needed.exists():
            sys.exit(f"llama_cpp.py: {needed} is not there; `{how}` makes it")
    llama = LlamaCpp(args, path)
    draw = random.Random(1)
    rates = {}  # {test: [(attend, llama), ...]}
    for done in range(args.rounds):
        for prompt in args.prompts:
            if sys.stderr.isatty():
                print(f"\rround {done + 1} of {args.rounds}, prompt of {prompt}   ", end="", file=sys.stderr, flush=True)
            tokens = [draw.randrange(1000, 40000) for _ in range(prompt)]
            for name, ours, theirs in zip((f"pp{prompt}", f"tg{args.generated} @ d{prompt}"), measure_attend(args, prompt), llama.measure(tokens, args.generated)):
                rates.setdefault(name, []).append((ours, theirs))
    if sys.stderr.isatty():
        print("\r" + " " * 60 + "\r", end="", file=sys.stderr)
    print(f"{path.name}, {args.threads} threads, {args.rounds} rounds; {PACKAGE}: {llama.system}\n")
    print("| test | attend-llm t/s | llama.cpp t/s | ratio |\n|---|--:|--:|--:|")
    lines = []
    for name, pairs in rates.items():
        ours, theirs = (statistics.median(each) for each in zip(*pairs))
        ratio = statistics.median(a / b for a, b in pairs)
        print(f"| {name} | {ours:.1f} | {theirs:.1f} | {ratio:.2f} |")
        lines.append({"test": name, "file": path.name, "threads": args.threads, "kv_format": args.kv_format, "tokens_per_second": ours,
                      "llama_cpp_tokens_per_second": theirs, "ratio": ratio, "rounds": len(pairs), "peer": PACKAGE, "peer_system": llama.system,
                      **origin()})
    if args.json:
        with open(args.json, "a", encoding="utf-8") as file:
            file.writelines(json.dumps(line) + "\n" for line in lines)


if __name__ == "__main__":
    try:
        main()
    except KeyboardInterrupt:
        sys.exit("llama_cpp.py: interrupted")
