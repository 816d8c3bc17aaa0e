#!/usr/bin/env python3
# SPDX-License-Identifier: Apache-2.0
"""attend-llm on the real model: what it says, and that attention costs it nothing.

    model_test.py PROGRAM TEXT [--model smollm2|gemma3] [--long]

Exits with 77, and says so, where scripts/get-model has not fetched the model.
"""
import json
import os
import signal
import subprocess
import sys
import tempfile

sys.dont_write_bytecode = True
from expectations import expect, failures  # noqa: E402

PROGRAM, TEXT = os.path.abspath(sys.argv[1]), os.path.abspath(sys.argv[2])
LONG = "--long" in sys.argv
NAME = sys.argv[sys.argv.index("--model") + 1] if "--model" in sys.argv else "smollm2"
# File, the text's perplexity (Gemma knows it by heart), the least agreement with int8 keys and values, tokens of long answers.
FILE, LEAST, MOST, INT8_AGREEMENT, LENGTH = {"smollm2": ("SmolLM2-135M-Instruct.Q4_1.gguf", 5, 40, 0.95, 512),
                                             "gemma3": ("gemma-3-270m-q4_k_m.gguf", 1.5, 10, 0.93, 128)}[NAME]
MODEL = os.path.expanduser("~/.cache/attend/" + FILE)
PROMPTS = ["The capital of France is", "Once upon a time, there was a small", "def fibonacci(n):", "The three states of water are",
           "When in the Course of human events,", "The recipe calls for two eggs,", "import numpy as np\n", "In 1969, the first",
           "Dear Sir or Madam,", "The theorem follows from", "Q: Why do cats purr?\nA:", "She opened the door and", "SELECT name FROM",
           "The human heart has", "To be or not to be,", "Chapter 1\n\n", "A triangle with sides of 3, 4 and", "Water boils at",
           "My favourite colour is", "The train left the station at"]


def call(*words, text=None):
    model = [] if "--model" in words else ["--model", NAME]
    return subprocess.run([PROGRAM, *(word if isinstance(word, bytes) else str(word) for word in words), *model], capture_output=True, text=not isinstance(text, bytes),
                          input=text, timeout=1700)


def answers():
    if NAME == "smollm2":
        result = call("chat", "What is the capital of France? Answer with one word.", "--tokens", 12)
        expect(result.returncode == 0 and "Paris" in result.stdout, "chat knows the capital of France", result)
    else:  # it has learnt how texts go on, not to answer
        result = call("generate", "Question: What is the capital of France?\nAnswer:", "--tokens", 4)
        expect(result.returncode == 0 and "Paris" in result.stdout, "it knows the capital of France", result)
        result = call("chat", "Who?", "--tokens", 2)
        expect(result.returncode == 0 and "no tokenizer.chat_template" in result.stderr, "chat says what it is not made for", result)
    result = call("chat", "--tokens", 8, text="Say hello.\nSay goodbye.\n")
    expect(result.returncode == 0 and len(result.stdout.strip()) > 4, "a conversation from standard input", result)
    drawn = [call("generate", PROMPTS[1], "--temperature", 0.9, "--top-p", 0.9, "--seed", seed, "--tokens", 12, "--json").stdout
             for seed in (1, 1, 2)]
    texts = [json.loads(line)["text"] for line in drawn]
    expect(texts[0] == texts[1] != texts[2], f"the seed decides what is drawn: {texts}")


def greedy():
    for prompt in PROMPTS[:None if LONG else 1]:
        words = ["generate", prompt, "--tokens", LENGTH if LONG else 16, "--json"]
        said = [json.loads(call(*words, *more).stdout)["tokens"]
                for more in ([], ["--attention", "reference"], ["--page-size", 16, "--guarantee", "batch_invariant"])]
        expect(said[0] == said[1], f"{prompt!r} goes on as with fp64 attention")
        expect(said[0] == said[2], f"{prompt!r} goes on the same from pages")


def bytes_without_a_token():
    result = call("chat", "--tokens", 4, text=b"What is \xff?\nSay hello.\n")
    expect(result.returncode == 0 and b"no token for byte 255" in result.stderr and len(result.stdout) > 2,
           "a turn that has no tokens is passed over", result)
    result = call("chat", text=b"\xff\n")
    expect(result.returncode == 1 and result.stdout == b"", "no turn was answered", result)
    result = call("chat", b"\xff", text=b"")
    expect(result.returncode == 1 and b"no token for byte 255" in result.stderr, "the only question has no tokens", result)


def perplexities():
    # Words, largest change of the perplexity, largest mean divergence, least agreement. A few hundred tokens scatter: bars of a
    # whole text are tighter. Four bits are too few for keys of this small model; they are here to be seen to work at all.
    rows = [(["f32"], 1e-4, 1e-6, 1), (["f32", "--page-size", 16], 1e-4, 1e-6, 1), (["bf16"], 1e-2, 1e-3, 0.98),
            (["int8"], 3e-2, 2e-2, INT8_AGREEMENT), (["int4_32", "--smooth-keys"], 2, 1, 0.5)]
    if LONG:
        rows += [(["f16"], 1e-3, 1e-4, 0.99), (["int8", "--smooth-keys"], 2e-2, 1e-2, 0.95), (["e4m3"], 0.1, 0.1, 0.9),
                 (["f32", "--window", 128, "--first", 4], 0.1, 0.3, 0.75)]
    for words, change, divergence, agreement in rows:
        result = call("perplexity", TEXT, "--tokens", 2000 if LONG else 200, "--against", "reference", "--json", "--kv-format", *words)
        line = json.loads(result.stdout)
        expect(abs(line["relative_change"]) < change, f"perplexity with {' '.join(map(str, words))} changes by {line['relative_change']}")
        expect(LEAST < line["perplexity_against"] < MOST, f"a working model's perplexity: {line['perplexity_against']}")
        expect(-1e-9 < line["mean_divergence"] < divergence and line["agreement"] >= agreement, f"divergence and agreement: {line}")


def windows():
    """More tokens at once than local layers see."""
    line = json.loads(call("perplexity", TEXT, "--tokens", 700, "--chunk", 701, "--stride", 700, "--against", "reference", "--json").stdout)
    expect(abs(line["relative_change"]) < 1e-4 and line["agreement"] == 1 and line["predicted"] == 700, f"windows of 512: {line}")


def serving():
    result = call("serve-sim", "--tokens", 6, "--at-once", 8, "--json")
    line = json.loads(result.stdout)
    expect(line["requests"] == 16 and line["prompt_tokens_found"] > line["prompt_tokens"] // 3,
           f"the system prompt is found in the cache: {line}")
    result = call("serve-sim", "--tokens", 6, "--at-once", 8, "--context", 256, "--json")
    line = json.loads(result.stdout)
    expect(line["requests"] == 16 and line["pages"] == 16, f"a cache that holds a few sequences serves all, later: {line}")


def quality(folder):
    """Rows beside fp64 attention; what a file has already is not measured again."""
    out = os.path.join(folder, "quality.jsonl")
    for rows in ("f32,int8", "f32,int8,cascade"):
        result = call("quality", TEXT, "--context", 256, "--tokens", 300, "--rows", rows, "--out", out, "--quiet")
        expect(result.returncode == 0, "quality measures", result)
    with open(out, encoding="utf-8") as file:
        lines = [json.loads(line) for line in file]
    expect([(line["row"], line["part"]) for line in lines] ==
           [("f32", 0), ("int8", 0), ("f32", 1), ("int8", 1), ("cascade", 0), ("cascade", 1)], f"each row and chunk once: {lines}")
    for line in lines:
        expect(abs(line["nats"] - line["nats_reference"]) / line["predicted"] < (0.03 if line["row"] == "int8" else 1e-4),
               f"as with fp64 attention: {line}")
    found = [json.loads(line) for line in call("quality", TEXT, "--measure", "retrieval", "--context", 600, "--rows", "f32", "--quiet").stdout.splitlines()]
    least = 4 if NAME == "smollm2" else 1  # Gemma's smallest base model recalls little
    expect(len(found) == 10 and sum(line["right"] for line in found) >= least, f"facts in a short text are found: {found}")
    line = json.loads(call("quality", TEXT, "--measure", "speed", "--context", 64, "--rows", "bf16", "--quiet").stdout.splitlines()[0])
    expect(line["prefill_seconds"] > 0 and line["decode_seconds"] > 0 and line["cache_bytes"] > 0, f"speed: {line}")


def refusals(folder):
    broken = os.path.join(folder, "broken.gguf")
    with open(MODEL, "rb") as whole, open(broken, "wb") as file:
        file.write(whole.read(3 << 20))
    for words, names in [(["generate", "x", "--model", broken], "broken.gguf"),
                         (["generate", "x", "--model", os.path.join(folder, "none.gguf")], "none.gguf"),
                         (["generate", "word " * 100, "--context", 20], "the cache holds 20"),
                         (["generate", "x", "--top-p", 2], "top-p is 2"),
                         (["perplexity", os.path.join(folder, "none.txt")], "none.txt"),
                         (["quality", TEXT, "--context", 4096], "expected at least"),
                         (["quality"], "file is required"),
                         (["serve-sim", "--context", 16], "pages")]:
        result = call(*words)
        expect(result.returncode in (1, 2) and names in result.stderr, f"{words[0]} {words[-1]} names {names!r}", result)
    result = call("generate", "One two three", "--tokens", 50, "--context", 16)
    expect(result.returncode == 0 and "the cache is full" in result.stderr, "a full cache ends a text, and says so", result)
    talking = subprocess.Popen([PROGRAM, "generate", PROMPTS[1], "--tokens", "5000", "--model", NAME], stdout=subprocess.PIPE, stderr=subprocess.PIPE,
                               text=True)
    talking.stdout.read(len(PROMPTS[1]) + 20)
    talking.send_signal(signal.SIGINT)
    _, errors = talking.communicate(timeout=120)
    expect(talking.returncode == 0 and "tokens/s" in errors, f"Ctrl-C ends a text cleanly: {talking.returncode} {errors[-300:]}")


if not os.path.exists(MODEL):
    print(f"skipped: {MODEL} is not there; scripts/get-model {NAME} fetches it")
    sys.exit(77)
with tempfile.TemporaryDirectory() as scratch:
    answers()
    greedy()
    perplexities()
    serving()
    quality(scratch)
    if NAME == "smollm2":  # Gemma has a token for every byte
        bytes_without_a_token()
    else:
        windows()
    refusals(scratch)
print("FAILED:" if failures else "all checks of the model passed", *failures, sep="\n  ")
sys.exit(1 if failures else 0)
