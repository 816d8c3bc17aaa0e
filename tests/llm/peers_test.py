#!/usr/bin/env python3
# SPDX-License-Identifier: Apache-2.0
"""Compares the reader and the tokenizers of attend-llm with the PyPI packages gguf and tokenizers.

    peers_test.py elements|tokens|gemma_tokens|pieces <files_tool> <text>

elements: random blocks of every type, in a file that gguf writes, bit for bit as its own dequantize() has them.
tokens, gemma_tokens: 10,000 lines (licences, <text>, code, random Unicode) in SmolLM2's and Gemma's vocabulary, as
tokenizers has them.
pieces: the same lines, and every character by itself, in MiniLM's vocabulary, as tokenizers has them.
Packages come from scripts/get-peers unless Python has them. Exits with 77, which CTest calls skipped, where a package or the
model is missing.
"""
import glob
import json
import random
import subprocess
import sys
import tempfile
import unicodedata
from pathlib import Path

TREE = Path(__file__).resolve().parents[2]
sys.dont_write_bytecode = True
sys.path.insert(0, str(TREE / "tools"))
import peers  # noqa: E402

sys.path.append(str(peers.folder()))
CACHE = Path("~/.cache/attend").expanduser()
MODEL = CACHE / "SmolLM2-135M-Instruct.Q4_1.gguf"
GEMMA = CACHE / "gemma-3-270m-q4_k_m.gguf"
MINILM = CACHE / "all-MiniLM-L6-v2"
LINES = 10_000


def skip(reason):
    print(f"skipped: {reason}")
    sys.exit(77)


def same_elements(tool):
    try:
        import gguf
        import numpy as np
    except ImportError as error:
        skip(f"{error} (scripts/get-peers fetches it)")
    rng = np.random.default_rng(1)
    rows, expected = 7, []
    # Where the f16 scales of a block lie: they are kept finite, as the bits of a NaN are nobody's promise.
    scales = {"F16": [0], "Q8_0": [0], "Q4_0": [0], "Q4_1": [0, 2], "Q5_0": [0], "Q4_K": [0, 2], "Q6_K": [208]}
    with tempfile.TemporaryDirectory() as folder:
        path = Path(folder) / "blocks.gguf"
        writer = gguf.GGUFWriter(path, "llama")
        for name in ["F32", "F16", "BF16", "Q8_0", "Q4_0", "Q4_1", "Q5_0", "Q4_K", "Q6_K"]:
            kind = gguf.GGMLQuantizationType[name]
            elements, size = gguf.GGML_QUANT_SIZES[kind]
            blocks = rng.integers(0, 256, size=(rows, 512 // elements, size), dtype=np.uint8)
            for at in scales.get(name, []):
                half = rng.normal(0, 1, size=blocks.shape[:2]).astype("<f2")
                half[0] = np.float16(3e-7)  # subnormal
                blocks[:, :, at:at + 2] = half[..., None].view(np.uint8)
            if name in ("F32", "BF16"):
                blocks[:, :, -1] &= 0xBF  # no NaN, no infinity: the highest bit of the exponent is 0
            data = blocks.reshape(rows, -1)
            if name == "F32":
                data = data.view("<f4")
            elif name == "F16":
                data = data.view("<f2")
            writer.add_tensor(name, data, raw_dtype=kind)
            expected.append(gguf.quants.dequantize(data, kind).astype("<f4").reshape(rows, 512))
        writer.write_header_to_file()
        writer.write_kv_data_to_file()
        writer.write_tensors_to_file()
        writer.close()
        found = subprocess.run([tool, "elements", path], check=True, stdout=subprocess.PIPE).stdout
    found, expected = np.frombuffer(found, "<u4"), np.stack(expected).view("<u4").ravel()
    assert found.shape == expected.shape, (found.shape, expected.shape)
    different = np.flatnonzero(found != expected)
    assert different.size == 0, (f"{different.size} of {found.size} elements differ, the first at {different[0]}: "
                                 f"{found.view('<f4')[different[0]]}, expected {expected.view('<f4')[different[0]]}")
    assert np.unique(found).size > 5000
    print(f"{found.size} elements of {len(expected) // (rows * 512)} types are the same bits")


def random_line(rng, characters):
    """Words of a few scripts, white space, punctuation and anything that Unicode has."""
    pieces = ["a", "the", "Don't", "'ll", "'S", " ", "  ", "\t", "\u00a0", "\u3000 ", "\u2028", "\u0085", "12", "3.14",
              "\u00bd", "\u216b", "e\u0301", "\u4f60\u597d", "\U0001f600\u200d", "...", "//", "\x1c", "\r", "<|im_start|>",
              "\u2581", "<table>", "   "]
    return "".join(rng.choice(pieces) if rng.random() < 0.7 else rng.choice(characters)
                   for _ in range(rng.randrange(30)))


def lines(rng):
    files = [*sorted(glob.glob("/usr/share/common-licenses/*")), *sorted(glob.glob(str(TREE / "src" / "*" / "*.cpp"))),
             *sorted(glob.glob(str(TREE / "tools" / "*.py")))]
    there = [line for file in files for line in Path(file).read_text(encoding="utf-8").split("\n")]
    rng.shuffle(there)
    texts = Path(sys.argv[3]).read_text(encoding="utf-8").split("\n")
    texts += there[:LINES // 2]
    # Unassigned characters may be assigned in a newer Unicode than the peer's; surrogates are no text.
    characters = [chr(c) for c in range(0x110000)
                  if unicodedata.category(chr(c)) not in ("Cn", "Cs", "Co") and c not in (0, 10)]
    return texts + [random_line(rng, characters) for _ in range(LINES - len(texts))]


def metadata(path, *keys):
    from gguf import GGUFReader
    fields = GGUFReader(path).fields
    return {key: fields[f"tokenizer.ggml.{key}"].contents() for key in keys}


def compare_lines(command, peer, texts):
    assert len(texts) >= LINES
    run = subprocess.run(command, input="".join(line + "\n" for line in texts).encode(), check=True, stdout=subprocess.PIPE)
    found = [json.loads(line) for line in run.stdout.splitlines()]
    assert len(found) == len(texts), (len(found), len(texts))
    total = 0
    for line, ids, encoded in zip(texts, found, peer.encode_batch(texts, add_special_tokens=False)):
        assert ids == encoded.ids, f"{line!r}: {ids}, expected {encoded.ids} ({encoded.tokens})"
        total += len(ids)
    print(f"{total} tokens of {len(texts)} lines are the same")


def same_tokens(tool):
    try:
        import tokenizers
        from tokenizers import models, pre_tokenizers
        meta = metadata(MODEL, "tokens", "merges", "pre") if MODEL.exists() else None
    except ImportError as error:
        skip(f"{error} (scripts/get-peers fetches it)")
    if meta is None:
        skip(f"{MODEL} is not there (scripts/get-model smollm2)")
    assert meta["pre"] == "smollm", meta["pre"]
    vocabulary = {token: i for i, token in enumerate(meta["tokens"])}
    merges = [tuple(merge.split(" ")) for merge in meta["merges"]]
    peer = tokenizers.Tokenizer(models.BPE(vocabulary, merges))
    peer.pre_tokenizer = pre_tokenizers.Sequence([pre_tokenizers.Digits(individual_digits=True),
                                                  pre_tokenizers.ByteLevel(add_prefix_space=False)])
    # SmolLM2 has no token for some bytes, among them those of control characters; the peer leaves them out in
    # silence, where attend-llm refuses the text.
    missing = {b for b, c in enumerate(byte_characters()) if c not in vocabulary}
    assert 0xFF in missing
    texts = ["".join(c for c in line if not missing & set(c.encode("utf-8"))) for line in lines(random.Random(1))]
    texts = [line.replace("\n", " ") for line in texts]
    compare_lines([tool, "tokens", MODEL], peer, texts)
    refused = subprocess.run([tool, "tokens", MODEL], input=b"\xff\n", stdout=subprocess.PIPE, stderr=subprocess.PIPE)
    assert refused.returncode == 1 and b"no token for byte 255" in refused.stderr, refused


def same_gemma_tokens(tool):
    try:
        import tokenizers
        from tokenizers import models, normalizers
        meta = metadata(GEMMA, "tokens", "scores", "token_type", "add_space_prefix") if GEMMA.exists() else None
    except ImportError as error:
        skip(f"{error} (scripts/get-peers fetches it)")
    if meta is None:
        skip(f"{GEMMA} is not there (scripts/get-model gemma3)")
    assert not meta["add_space_prefix"]
    vocabulary = {token: i for i, token in enumerate(meta["tokens"])}
    pieces = {token for token, kind in zip(meta["tokens"], meta["token_type"]) if kind == 1}
    # SentencePiece joins any two neighbours that make a piece; the peer wants to be told all pairs, best score first.
    merges = [(-meta["scores"][vocabulary[piece]], vocabulary[piece[:at]], piece[:at], piece[at:])
              for piece in pieces for at in range(1, len(piece)) if piece[:at] in pieces and piece[at:] in pieces]
    peer = tokenizers.Tokenizer(models.BPE(vocabulary, [(left, right) for *_, left, right in sorted(merges)],
                                             byte_fallback=True))
    peer.normalizer = normalizers.Replace(" ", "\u2581")
    peer.add_tokens([tokenizers.AddedToken(token, normalized=False, special=False)
                     for token, kind in zip(meta["tokens"], meta["token_type"]) if kind == 4])
    compare_lines([tool, "tokens", GEMMA], peer, [line.replace("\n", " ") for line in lines(random.Random(1))])


def kind(category):
    """What WordPiece asks of a character."""
    return {"Mn": "accent", "Cc": "nothing", "Cf": "nothing"}.get(category, "mark" if category[0] == "P" else "letter")


def same_pieces(tool):
    try:
        import tokenizers
    except ImportError as error:
        skip(f"{error} (scripts/get-peers fetches it)")
    if not MINILM.exists():
        skip(f"{MINILM} is not there (scripts/get-model minilm)")
    peer = tokenizers.Tokenizer.from_file(str(MINILM / "tokenizer.json"))
    peer.no_truncation()
    peer.no_padding()
    peer.encode_special_tokens = True  # their names in a text are text
    # The peer's tables are of several Unicode versions, all older than ours: kinds that have changed since 3.2 differ. And
    # it leaves 256 ideographs out of BERT's blocks (0x2B820 to 0x2CEAF).
    known = {chr(c) for c in range(1, 0x110000) if c != 10 and not 0x2B820 <= c < 0x2B920 and
             unicodedata.category(chr(c)) not in ("Cn", "Cs", "Co") and
             kind(unicodedata.category(chr(c))) == kind(unicodedata.ucd_3_2_0.category(chr(c)))}
    assert len(known) > 140_000, len(known)
    texts = ["".join(c for c in line if c in known) for line in lines(random.Random(1))]
    compare_lines([tool, "pieces", MINILM / "vocab.txt"], peer, texts + [f"a{c}b {c}" for c in sorted(known)])
    refused = subprocess.run([tool, "pieces", MINILM / "vocab.txt"], input=b"ab\xff\n", stdout=subprocess.PIPE,
                             stderr=subprocess.PIPE)
    assert refused.returncode == 1 and b"byte 2 is no part of a UTF-8 character" in refused.stderr, refused


def byte_characters():
    """GPT-2's character for each byte."""
    printable = {*range(0x21, 0x7F), *range(0xA1, 0xAD), *range(0xAE, 0x100)}
    following = iter(range(0x100, 0x200))
    return [chr(b) if b in printable else chr(next(following)) for b in range(256)]


if __name__ == "__main__":
    {"elements": same_elements, "tokens": same_tokens, "gemma_tokens": same_gemma_tokens,
     "pieces": same_pieces}[sys.argv[1]](sys.argv[2])
