"""Split equals whole on the tiny model: 500 requests, 16 at a time, with cancels, preemptions and prefix hits, on real processes."""

import json
import os
import subprocess
import sys
import unittest

from local_cluster import SANITIZED, TINY_MODEL


class SplitEqualsWhole(unittest.TestCase):
    def test_same_tokens(self):
        requests = 100 if SANITIZED else 500
        driver = os.path.join(os.path.dirname(os.path.abspath(__file__)), "split_equals_whole.py")
        run = subprocess.run([
            sys.executable, driver, "--bin-dir", os.environ["BATON_BIN_DIR"], "--model", TINY_MODEL, "--vocab", "300",
            "--requests", str(requests), "--per-round", "100", "--split-pages", "110", "--max-prompt", "1450",
            "--min-out", "192", "--max-out", "256",
            "--want-preemptions", str(requests // 10), "--want-prefix-hits", str(requests // 5)],
            stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True, timeout=550, check=False)
        print(run.stdout)
        self.assertEqual(run.returncode, 0, run.stdout + run.stderr)
        self.assertEqual(json.loads(run.stdout)["problems"], [])


if __name__ == "__main__":
    unittest.main()
