"""A short form of migration.py on the tiny model: streams that move while they decode say the same."""

import json
import os
import subprocess
import sys
import unittest

from local_cluster import SANITIZED, TINY_MODEL


class MigrationTest(unittest.TestCase):
    def test_same_tokens(self):
        sequences = 4 if SANITIZED else 12
        driver = os.path.join(os.path.dirname(os.path.abspath(__file__)), "migration.py")
        run = subprocess.run([
            sys.executable, driver, "--bin-dir", os.environ["BATON_BIN_DIR"], "--model", TINY_MODEL, "--vocab", "300",
            "--sequences", str(sequences), "--moves", "6", "--tokens", "1000", "--concurrency", "3"],
            stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True, timeout=550, check=False)
        print(run.stdout)
        self.assertEqual(run.returncode, 0, run.stdout + run.stderr)
        self.assertEqual(json.loads(run.stdout)["problems"], [])


if __name__ == "__main__":
    unittest.main()
