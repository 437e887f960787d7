"""baton-chaos on real clusters of the tiny model: faults, verdicts, replay, and what is left behind."""

import glob
import json
import os
import shutil
import signal
import subprocess
import tempfile
import time
import unittest

BIN = os.environ["BATON_BIN_DIR"]
TINY_MODEL = os.path.join(os.environ["BATON_SOURCE_DIR"], "tests", "goldens", "model", "tiny-llama.gguf")
SLOWER = 3 if os.environ.get("BATON_SANITIZE") else 1

HEAD = """
name: tiny
hypothesis: the faults cost no stream a token
cluster: {prefill: 1, decode: 2, threads: 1, model: tiny, restart_after: 300ms}
load: {rate: 6, duration: 5s, prompt_tokens: [20, 60], output_tokens: [100, 200], temperature: 0.8}
"""


class ChaosTest(unittest.TestCase):
    def setUp(self):
        self.folder = tempfile.mkdtemp(prefix="baton-chaos-test-")
        self.addCleanup(shutil.rmtree, self.folder, ignore_errors=True)
        self.out = os.path.join(self.folder, "out")

    def command(self, text, *flags, verb="run"):
        path = os.path.join(self.folder, "scenario.yaml")
        with open(path, "w") as file:
            file.write(text)
        return [os.path.join(BIN, "baton-chaos"), verb, path, f"--out={self.out}", f"--tiny_model={TINY_MODEL}",
                "--oracle_dir=none", *flags]

    def chaos(self, text, *flags, verb="run"):
        environment = dict(os.environ, TMPDIR=self.folder, no_proxy="127.0.0.1", NO_PROXY="127.0.0.1")
        return subprocess.run(self.command(text, *flags, verb=verb), env=environment, text=True, stdin=subprocess.DEVNULL,
                              stdout=subprocess.PIPE, stderr=subprocess.PIPE, timeout=120 * SLOWER, check=False)

    def record(self):
        with open(os.path.join(self.out, "run.json")) as file:
            return json.load(file)

    def check(self, name):
        return next(check for check in self.record()["checks"] if name in check["name"])

    def assert_nothing_left(self):
        self.assertEqual(glob.glob(os.path.join(self.folder, "baton-chaos-*")), [])

    def test_stopped_and_drained_workers_cost_no_token(self):
        ran = self.chaos(HEAD + """
faults:
  - {at: 1s, kind: stop, target: decode-0, for: 700ms}
  - {at: 2500ms, kind: terminate, target: prefill-0}
checks: {client_kept_schedule: false, errors_at_most: 3}
""")
        self.assertEqual(ran.returncode, 0, ran.stdout + ran.stderr)
        self.assertIn("HELD, as expected", ran.stdout)
        self.assertTrue(self.check("tokens equal")["ok"])
        kinds = [mark["kind"] for mark in self.record()["runs"][0]["marks"]]
        self.assertEqual(kinds[:3], ["stop", "undone", "terminate"])
        self.assert_nothing_left()

    def test_killed_decode_workers_cost_no_token(self):
        # Long enough that some run when a worker is killed, on most machines.
        ran = self.chaos(HEAD.replace("[100, 200]", "[900, 1000]").replace("rate: 6", "rate: 3") + """
faults: [{at: 2s, kind: kill, target: decode-1}, {at: 4s, kind: kill, target: decode-0}]
checks: {client_kept_schedule: false, gap_at_faults: 60s}
""")
        self.assertEqual(ran.returncode, 0, ran.stdout + ran.stderr)
        for held in ("every stream ends", "end in an error", "tokens equal", "no page leaks", "nothing is left open", "pages add up",
                     "carried out", "waits longer than 1m at a fault"):
            self.assertTrue(self.check(held)["ok"], self.check(held))
        self.assertIn("back", [mark["kind"] for mark in self.record()["runs"][0]["marks"]])
        self.assert_nothing_left()

    def test_an_expectation_that_does_not_come_true_is_loud(self):
        ran = self.chaos(HEAD + "expected: {result: fails, because: it is a test}\nchecks: {client_kept_schedule: false}\n")
        self.assertEqual(ran.returncode, 1, ran.stdout + ran.stderr)
        self.assertIn("HELD, but it was expected to fail", ran.stdout)

    def test_a_partition_between_two_processes(self):
        ran = self.chaos(HEAD + """
faults:
  - {at: 1s, kind: partition, between: [prefill-0, decode-1], for: 1s}
  - {at: 3s, kind: loss, between: [router, decode-0], for: 500ms, percent: 5}
checks: {client_kept_schedule: false}
""")
        if "need root" in ran.stderr or "no network namespaces" in ran.stderr:
            self.skipTest(ran.stderr.strip())
        self.assertEqual(ran.returncode, 0, ran.stdout + ran.stderr)
        self.assert_nothing_left()

    def test_a_schedule_is_printed_and_replayed(self):
        text = HEAD + """
faults: [{random: {kinds: [stop], targets: [decode], per_minute: 60, until: 4s, longest: 300ms}}]
checks: {client_kept_schedule: false, tokens_equal: false}
"""
        printed = self.chaos(text, "--seed=5", verb="schedule")
        self.assertEqual(printed.returncode, 0, printed.stderr)
        path = os.path.join(self.folder, "faults.json")
        with open(path, "w") as file:
            file.write(printed.stdout)
        ran = self.chaos(text, f"--replay={path}")
        self.assertEqual(ran.returncode, 0, ran.stdout + ran.stderr)
        with open(os.path.join(self.out, "tiny-6-0", "faults.json")) as file:
            self.assertEqual(json.load(file), json.loads(printed.stdout))
        wanted = [fault["at"] for fault in json.loads(printed.stdout)["faults"]]
        struck = [mark["at_s"] for mark in self.record()["runs"][0]["marks"] if mark["kind"] == "stop"]
        self.assertEqual(len(struck), len(wanted))

    def test_ctrl_c_stops_everything(self):
        process = subprocess.Popen(self.command(HEAD.replace("5s", "60s")), env=dict(os.environ, TMPDIR=self.folder),
                                   stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL)
        deadline = time.monotonic() + 60 * SLOWER
        while not glob.glob(os.path.join(self.folder, "baton-chaos-*", "decode-1.json")) and time.monotonic() < deadline:
            self.assertIsNone(process.poll())
            time.sleep(0.05)
        process.send_signal(signal.SIGINT)
        self.assertEqual(process.wait(30 * SLOWER), 130)
        self.assert_nothing_left()

    def test_what_is_wrong_is_said_before_anything_starts(self):
        for text, what in ((HEAD + "speed: 3\n", ":6:1: the scenario has no key 'speed'"),
                           (HEAD.replace("tiny,", "none.gguf,"), "cannot read the model 'none.gguf'"),
                           (HEAD.replace("rate: 6", "arrivals: trace, trace: none, trace_format: azure"), "none")):
            ran = self.chaos(text)
            self.assertEqual(ran.returncode, 2, ran.stdout)
            self.assertIn(what, ran.stderr)

    def test_dry_run_shows_the_commands(self):
        ran = self.chaos(HEAD + "faults: [{at: 1s, kind: kill, target: decode-1}]\n", "--driver=kubectl", "--dry_run")
        self.assertEqual(ran.returncode, 0, ran.stderr)
        self.assertIn("kubectl --namespace baton delete pod decode-1", ran.stdout)
