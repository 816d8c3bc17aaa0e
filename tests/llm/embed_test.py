#!/usr/bin/env python3
# SPDX-License-Identifier: Apache-2.0
"""attend-llm embed on the real model: its embeddings are those of sentence-transformers.

    embed_test.py PROGRAM GOLDEN    exits with 77, and says so, where scripts/get-model has not fetched the model

GOLDEN is what tools/embed_golden.py writes.
"""
import json
import os
import shutil
import subprocess
import sys
import tempfile
from pathlib import Path

sys.dont_write_bytecode = True
sys.path.insert(0, str(Path(__file__).resolve().parents[2] / "tools"))
from embed_golden import probe  # noqa: E402
from expectations import expect, failures  # noqa: E402

PROGRAM, GOLDEN = os.path.abspath(sys.argv[1]), json.loads(Path(sys.argv[2]).read_text(encoding="utf-8"))
MODEL = Path("~/.cache/attend/all-MiniLM-L6-v2").expanduser()
TEXTS = [row["text"] for row in GOLDEN["texts"]]
BAR = 2e-6  # of a component; the largest seen is 3e-7


def call(*words):
    return subprocess.run([PROGRAM, "embed", *(each if isinstance(each, bytes) else str(each) for each in words)], capture_output=True, timeout=500)


def rows_of(result):
    return [json.loads(line) for line in result.stdout.splitlines()]


def same_as_golden(rows, bar, what):
    worst = 0
    for found, row in zip(rows, GOLDEN["texts"], strict=True):
        name = f"{what}: {row['text'][:30]!r}"
        expect(found["text"] == row["text"] and found["tokens"] == row["tokens"], f"{name} is the same text of {found['tokens']} tokens")
        first = row.get("embedding", row.get("first"))
        worst = max(worst, *(abs(a - b) for a, b in zip(found["embedding"], first)))
        expect(len(found["embedding"]) == 384 and abs(sum(x * x for x in found["embedding"]) - 1) < 1e-5, f"{name} has length 1")
        for i, product in enumerate(row.get("products", [])):
            error = sum(x * s for x, s in zip(found["embedding"], probe(i, 384))) - product
            expect(abs(error) < 384 * bar, f"{name}: the product with signs {i} is off by {error}")
    expect(worst < bar, f"{what}: off by {worst}, expected less than {bar}")
    print(f"{what}: components differ by {worst:.2g} at most")


def golden():
    whole = call("--json", *TEXTS)
    expect(whole.returncode == 0, "all texts at once", whole)
    rows = rows_of(whole)
    same_as_golden(rows, BAR, "attend")
    expect(sum(row["cut"] for row in rows) == 4, f"four texts are too long: {[row['tokens'] for row in rows if row['cut']]}")
    expect(b"4 of the texts had more than 256 tokens" in whole.stderr, "which is said", whole)
    for words in (["--batch", 1], ["--batch", 7, "--threads", 1], ["--threads", 3]):
        expect(call("--json", *words, *TEXTS).stdout == whole.stdout, f"{words} do not change a bit")
    for attention in ("naive", "reference"):
        same_as_golden(rows_of(call("--json", "--attention", attention, *TEXTS)), BAR, attention)


def lines(folder):
    path = Path(folder) / "lines.txt"
    in_line = [text for text in TEXTS if "\n" not in text and text]
    path.write_text("".join(line + "\n" for line in ["", *in_line]), encoding="utf-8")
    expect(call("--json", "--file", path).stdout == call("--json", "", *in_line).stdout, "lines of a file are texts")
    rows = rows_of(call("--json", "word " * 700, "--max-tokens", 512))
    expect(rows[0]["tokens"] == 512 and rows[0]["cut"], "--max-tokens makes room for a longer text")
    expect([rows_of(call("--json", text))[0]["tokens"] for text in ("", " \t")] == [2, 2], "a text without words is [CLS] [SEP]")


def likeness():
    texts = ["Someone is making music.", "The stock market fell sharply today.", "He strums his guitar.", "Cats sleep a lot."]
    result = call("--query", "A man is playing the guitar.", "--top", 3, *texts)
    ranked = result.stdout.decode().splitlines()
    expect(len(ranked) == 5 and "strums" in ranked[1] and "music" in ranked[2] and "1 more" in ranked[4], "guitars are alike", result)
    rows = rows_of(call("--json", "--query", texts[1], *texts))
    expect(abs(rows[1]["likeness"] - 1) < 1e-6 and max(row["likeness"] for row in rows) == rows[1]["likeness"], "the same text is alike")
    first = call(texts[1], texts[1], texts[3]).stdout.decode().splitlines()
    expect(first[1].startswith(" 1.0000  The stock"), f"without --query the first text is it: {first}")


def refusals(folder):
    broken = Path(folder) / "broken"
    shutil.copytree(MODEL, broken)
    weights = broken / "model.safetensors"
    whole = weights.stat().st_size

    def refused(names, *words):
        result = call(*words)
        expect(result.returncode in (1, 2) and all(name.encode() in result.stderr for name in names), f"{words} names {names}", result)

    refused(["there is no text"])
    refused(["none.txt"], "--file", Path(folder) / "none.txt")
    refused(["none", "config.json"], "a", "--model", Path(folder) / "none")
    refused(["--max-tokens is 513", "512"], "a", "--max-tokens", 513)
    refused(["--max-tokens is 1,"], "a", "--max-tokens", 1)
    bytes_file = Path(folder) / "bytes.txt"
    bytes_file.write_bytes(b"fine\nab\xff\n")
    refused(["text 2", "byte 2 is no part of a UTF-8 character"], "--file", bytes_file)
    refused(["query 1", "byte 0 is no part"], "a", "--query", b"\xff")
    for size in (whole - 1, 1000, 4, 0):
        os.truncate(weights, size)
        refused(["model.safetensors"], "a", "--model", broken)
    shutil.copy(MODEL / "model.safetensors", weights)
    for name, content, says in [("config.json", "{", "no JSON object"), ("config.json", "[" * 100_000, "no JSON object"),
                                ("sentence_bert_config.json", '{"max_seq_length": 513}', "max_seq_length is 513"),
                                ("tokenizer_config.json", '{"do_lower_case": false}', "do_lower_case is false"),
                                ("1_Pooling/config.json", '{"pooling_mode_mean_tokens": false}', "pooling_mode_mean_tokens"),
                                ("vocab.txt", "[UNK]\n[CLS]\n[SEP]\n", "vocab.txt: has 3 tokens, expected the model's 30522")]:
        (broken / name).write_text(content)
        refused([name, says], "a", "--model", broken)
        shutil.copy(MODEL / name, broken / name)
    config = json.loads((MODEL / "config.json").read_text())
    for change, says in [({"hidden_act": "relu"}, "hidden_act is \"relu\", expected \"gelu\""), ({"num_attention_heads": 7}, "multiple"),
                         ({"num_hidden_layers": 7}, "encoder.layer.6"), ({"num_hidden_layers": -1}, "num_hidden_layers is -1"),
                         ({"hidden_size": 2**62}, "hidden_size"), ({"vocab_size": "many"}, "vocab_size is no whole number"),
                         ({"model_type": "roberta"}, "model_type")]:
        (broken / "config.json").write_text(json.dumps({**config, **change}))
        refused([says], "a", "--model", broken)


if not MODEL.exists():
    print(f"skipped: {MODEL} is not there; scripts/get-model minilm fetches it")
    sys.exit(77)
with tempfile.TemporaryDirectory() as scratch:
    golden()
    lines(scratch)
    likeness()
    refusals(scratch)
print("FAILED:" if failures else "all checks of embed passed", *failures, sep="\n  ")
sys.exit(1 if failures else 0)
