"""Every experiment is a valid scenario, whole and short, and its short form ends as it says it will."""

import glob
import json
import os
import shutil
import subprocess
import tempfile
import unittest
from concurrent.futures import ThreadPoolExecutor

BIN = os.environ["BATON_BIN_DIR"]
SOURCE = os.environ["BATON_SOURCE_DIR"]
TINY_MODEL = os.path.join(SOURCE, "tests", "goldens", "model", "tiny-llama.gguf")
AT_ONCE = 2  # much of a run is waiting
EXPERIMENTS = sorted(glob.glob(os.path.join(SOURCE, "experiments", "*.yaml")))


class ExperimentsTest(unittest.TestCase):
    def setUp(self):
        self.folder = tempfile.mkdtemp(prefix="baton-experiments-")
        self.addCleanup(shutil.rmtree, self.folder, ignore_errors=True)

    def chaos(self, *words):
        environment = dict(os.environ, TMPDIR=self.folder, no_proxy="127.0.0.1", NO_PROXY="127.0.0.1")
        return subprocess.run([os.path.join(BIN, "baton-chaos"), *words, f"--tiny_model={TINY_MODEL}", f"--oracle_dir={self.folder}/oracle"],
                              env=environment, text=True, stdin=subprocess.DEVNULL, stdout=subprocess.PIPE, stderr=subprocess.PIPE,
                              timeout=180, check=False)

    def test_there_are_nine(self):
        self.assertEqual(len(EXPERIMENTS), 9)

    def test_each_is_valid(self):
        for path in EXPERIMENTS:
            for form in ([], ["--quick"]):
                with self.subTest(path, form=form):
                    read = self.chaos("schedule", path, *form)
                    self.assertEqual(read.returncode, 0, read.stderr)

    def test_each_short_form_ends_as_it_says(self):
        names = [os.path.basename(path)[:-len(".yaml")] for path in EXPERIMENTS]
        outs = [os.path.join(self.folder, name) for name in names]
        with ThreadPoolExecutor(AT_ONCE) as pool:
            runs = list(pool.map(lambda path, out: self.chaos("run", path, "--quick", f"--out={out}"), EXPERIMENTS, outs))
        for name, out, ran in zip(names, outs, runs):
            with self.subTest(name):
                self.assertEqual(ran.returncode, 0, ran.stdout + ran.stderr)
                with open(os.path.join(out, "run.json")) as file:
                    record = json.load(file)
                self.assertEqual(record["held"], record["expected"])
                self.assertTrue(os.path.exists(os.path.join(out, "report.html")))


if __name__ == "__main__":
    unittest.main()
