#!/usr/bin/env python3
# SPDX-License-Identifier: Apache-2.0
"""attend-llm looks for a language model where scripts/get-model puts it, and says how to get one that is not there.

    model_names_test.py TOOLS PROGRAM    TOOLS: the folder of models.py
"""
import os
import subprocess
import sys
import tempfile

sys.dont_write_bytecode = True
sys.path.insert(0, sys.argv[1])
from models import DEFAULT_CACHE, MODELS  # noqa: E402

PROGRAM = sys.argv[2]


def said(home, *words):
    result = subprocess.run([PROGRAM, "info", *words], env={**os.environ, "HOME": home}, capture_output=True, text=True)
    assert result.returncode == 1 and result.stdout == "", result
    return result.stderr


with tempfile.TemporaryDirectory() as home:
    os.environ["HOME"] = home
    names = [name for name, model in MODELS.items() if model.path.endswith(".gguf")]
    assert names[:1] == ["smollm2"] and "gemma3" in names, names
    for name in names:
        for words in [("--model", name), ()][:1 if name != names[0] else 2]:
            message = said(home, *words)
            path = DEFAULT_CACHE.expanduser() / MODELS[name].path
            assert f"{path} is not there: `scripts/get-model {name}` fetches it" in message, message
            assert all(other in message for other in names), message
    path = os.path.join(home, "none.gguf")
    assert f"{path}: cannot open it" in said(home, "--model", path)
print(f"{len(names)} models are looked for where they are put")
