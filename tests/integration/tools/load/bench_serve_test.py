"""baton-bench-serve as a program, against the fake endpoint."""

import json
import os
import subprocess
import tempfile
import unittest

BIN = os.environ["BATON_BIN_DIR"]
TRACES = os.path.join(os.environ["BATON_SOURCE_DIR"], "tests/unit/tools/load/traces")


class BenchServe(unittest.TestCase):
    def setUp(self):
        self.folder = tempfile.TemporaryDirectory()
        self.addCleanup(self.folder.cleanup)
        self.fake = subprocess.Popen([f"{BIN}/fake_endpoint", "--ttft=40ms", "--itl=10ms"], stdout=subprocess.PIPE, text=True)
        self.addCleanup(self.fake.wait)
        self.addCleanup(self.fake.terminate)
        self.addCleanup(self.fake.stdout.close)
        self.url = self.fake.stdout.readline().strip()

    def bench(self, *flags, url=True):
        record = os.path.join(self.folder.name, "run.json")
        command = [f"{BIN}/baton-bench-serve", f"--json={record}", *([f"--url={self.url}"] if url else []), *flags]
        environment = dict(os.environ, HOME=self.folder.name, XDG_STATE_HOME=self.folder.name)
        done = subprocess.run(command, capture_output=True, text=True, timeout=120, env=environment)
        if not os.path.exists(record):
            return done, None
        with open(record) as file:
            return done, json.load(file)

    def test_two_rates_twice_each(self):
        done, record = self.bench("--rate=20,40", "--repeats=2", "--duration=2s", "--warmup=500ms", "--max_lag=10s",
                                  "--tenants=a:1,b:3", "--api=completions", "--vocab=1000", "--slo_ttft=10s",
                                  f"--html={self.folder.name}/run.html")
        self.assertEqual(done.returncode, 0, done.stderr)
        self.assertEqual([(run["rate"], run["repeat"]) for run in record["runs"]], [(20, 0), (20, 1), (40, 0), (40, 1)])
        for run in record["runs"]:
            summary = run["summary"]
            self.assertEqual(summary["completed"], summary["requests"])
            self.assertEqual(summary["good_share"], 1)
            self.assertGreaterEqual(summary["ttft_ms"]["p50"], 39)
            self.assertEqual(summary["itl_ms"]["count"], 31 * summary["requests"])
            self.assertEqual(set(summary["tenants"]), {"a", "b"})
            self.assertEqual(sum(count for _, count in run["histograms"]["ttft_ms"]), summary["requests"])
        self.assertEqual(record["config"]["model"], "fake")
        self.assertIn("TTFT p50 at 20/s", [row["name"] for row in record["rows"]])
        self.assertIn("itl", done.stdout)
        with open(f"{self.folder.name}/run.html") as page:
            self.assertIn("<svg", page.read())

    def test_a_sweep_ends_below_an_slo_that_cannot_be_met(self):
        done, record = self.bench("--sweep", "--slo_ttft=1ms", "--rate=64", "--duration=500ms", "--warmup=0s", "--max_lag=10s",
                                  "--answer_tokens=2")
        self.assertEqual(done.returncode, 0, done.stderr)
        self.assertEqual(record["rows"][0]["value"], 0)
        self.assertIn("the SLO is missed", done.stdout)

    def test_a_trace_is_replayed(self):
        done, record = self.bench(f"--trace={TRACES}/mooncake.jsonl", "--trace_speed=4", "--length_scale=0.1", "--duration=3s",
                                  "--warmup=0s", "--max_lag=10s")
        self.assertEqual(done.returncode, 0, done.stderr)
        self.assertEqual(record["runs"][0]["summary"]["completed"], 3)

    def test_a_client_that_is_late_says_that_the_run_is_invalid(self):
        done, record = self.bench("--rate=50", "--duration=1s", "--warmup=0s", "--max_lag=0s")
        self.assertEqual(done.returncode, 2)
        self.assertFalse(record["valid"])
        self.assertIn("late", record["invalid_why"])

    def test_what_is_wrong_is_said(self):
        for flags, url, message in [
                (["--rate=0"], True, "--rate"), (["--rate=x"], True, "--rate"), (["--sweep"], True, "--slo_ttft"),
                (["--api=grpc"], True, "--api"), (["--vocab=100"], True, "--api completions"),
                (["--warmup=10m"], True, "--warmup"), (["--prompt_tokens=many"], True, "a length is"),
                (["--trace=/nonexistent"], True, "/nonexistent"), (["extra"], True, "extra"),
                ([], False, "./baton up"), (["--url=https://x"], False, "https"),
                (["--url=http://127.0.0.1:1"], False, "127.0.0.1:1")]:
            done, _ = self.bench(*flags, url=url)
            self.assertEqual(done.returncode, 1, flags)
            self.assertIn(message, done.stderr, flags)


if __name__ == "__main__":
    unittest.main()
