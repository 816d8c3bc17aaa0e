#!/usr/bin/env python3
# SPDX-License-Identifier: Apache-2.0
"""Embeddings of some texts as the package sentence-transformers computes them, for tests/llm/embed_test.py.

    python3 tools/embed_golden.py --out tests/llm/minilm_golden.json

Needs torch, transformers and sentence-transformers; the file names the versions that made it. The model is that of
`scripts/get-model minilm`. Of the first texts the whole embedding is kept; of the others the first components and the
products with a few vectors that the test can make again, in which every component has its part.
"""
import argparse
import json
import platform
import sys
from pathlib import Path

sys.dont_write_bytecode = True
from models import DEFAULT_CACHE, MODELS, fetch, write_atomically  # noqa: E402

TREE = Path(__file__).resolve().parent.parent
WHOLE, FIRST, PROBES = 4, 16, 4


def texts():
    declaration = (TREE / "data" / "text.txt").read_text(encoding="utf-8")
    return [
        "A man is playing the guitar.", "The committee rejected the proposal.", "", "naïve café, ÀÉÎÕÜ, straße",
        "Someone plays an instrument.", "The stock market fell sharply today.", "guitar", "a", "?", "   \t ",
        "How do I install the library?", "What is the capital of France?", "Paris is the capital of France.",
        "Water freezes at 0 degrees Celsius.", "NASA's rover landed on Mars on 18 February 2021.", "3.14159 26535 89793",
        "def fibonacci(n): return n if n < 2 else fibonacci(n - 1) + fibonacci(n - 2)", "SELECT * FROM users WHERE id = 7;",
        "https://example.org/a/b?c=d&e=f#g", "it's don't we'll they've I'm", "state-of-the-art, well-known; e.g. (this)",
        "antidisestablishmentarianism", "pneumonoultramicroscopicsilicovolcanoconiosis", "x" * 100, "x" * 101,
        "MixedCASE and UPPER CASE", "你好，世界", "日本語のテキストです。", "한국어 문장입니다", "Привет, мир!", "Γειά σου Κόσμε",
        "مرحبا بالعالم", "שלום עולם", "नमस्ते दुनिया", "สวัสดีชาวโลก", "I ❤ 😀 emoji 👩‍👩‍👧‍👦", "e\u0301 is é, and ﬁ is no ligature here",
        "zero\u200bwidth and soft\u00adhyphen", "tabs\tand\nnew lines\r\nare white space", "İstanbul ǅ ß ẞ ſ", "½ ² Ⅳ ① ℃ €100 £5 ¥7",
        "\u201cquotes\u201d \u2018single\u2019 \u2014 dash \u2026", "The " * 60, "word " * 253, "word " * 254, "word " * 255, "word " * 700,
        declaration[:400], declaration[:1500], declaration,
    ]


def probe(index, width):
    """Signs of a linear congruential sequence (Numerical Recipes, section 7.1)."""
    state, signs = index + 1, []
    for _ in range(width):
        state = (1664525 * state + 1013904223) % 2**32
        signs.append(1 if state >> 31 else -1)
    return signs


def main():
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--out", type=Path, required=True, metavar="FILE")
    parser.add_argument("--cache", type=Path, default=DEFAULT_CACHE, metavar="DIR")
    args = parser.parse_args()
    import sentence_transformers
    import tokenizers
    import torch
    import transformers
    model = sentence_transformers.SentenceTransformer(str(fetch(MODELS["minilm"], args.cache.expanduser())), device="cpu")
    rows = []
    for i, text in enumerate(texts()):
        [embedding] = model.encode([text], normalize_embeddings=False).tolist()
        row = {"text": text, "tokens": len(model.tokenize([text])["input_ids"][0])}
        if i < WHOLE:
            row["embedding"] = [float(f"{x:.9g}") for x in embedding]
        else:
            row["first"] = [float(f"{x:.9g}") for x in embedding[:FIRST]]
            row["products"] = [float(f"{sum(x * s for x, s in zip(embedding, probe(p, len(embedding)))):.9g}")
                               for p in range(PROBES)]
        rows.append(row)
    made = {"made_by": {"model": MODELS["minilm"].files[0].parts[0][0].package, "python": platform.python_version(),
                        **{each.__name__: each.__version__ for each in (torch, transformers, tokenizers, sentence_transformers)}},
            "max_tokens": model.max_seq_length, "texts": rows}
    lines = ",\n".join(json.dumps(row) for row in rows)
    text = (f'{{"made_by": {json.dumps(made["made_by"])},\n"max_tokens": {made["max_tokens"]},\n"texts": [\n{lines}\n]}}\n')
    assert json.loads(text) == made
    write_atomically(args.out, [text.encode()])
    print(f"{args.out}: {len(rows)} texts, {len(text)} bytes")


if __name__ == "__main__":
    main()
