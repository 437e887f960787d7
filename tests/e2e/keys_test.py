"""A cluster lets nobody in but its own: strangers open no handoff, and keys are rotated under load without losing one."""

import contextlib
import glob
import json
import os
import re
import signal
import stat
import subprocess
import threading
import unittest

from local_cluster import LocalCluster, wait_for

STRANGER = os.path.join(os.path.dirname(os.environ["BATON_BIN_DIR"]), "tests", "kv_stranger")
STORY = "Once upon a time a runner carried a baton around the track, and the next one waited. " * 6


class KeysTest(unittest.TestCase):
    def setUp(self):
        self.cluster = LocalCluster("--prefill", "1", "--decode", "1")
        self.addCleanup(self.cluster.close)

    def keys(self):
        return os.path.dirname(glob.glob(os.path.join(self.cluster.state, "baton", "*", "default", "keys", "allowed"))[0])

    def total(self, name, role=""):
        """Of a sample, over all workers (of a role)."""
        return sum(self.cluster.metrics(process["http"]).get(name, 0) for process in self.cluster.processes()
                   if process["role"] != "router" and role in process["role"])

    def handoffs(self, outcome):
        return self.total(f'baton_handoffs_total{{outcome="{outcome}",side="reader"}}', "decode")

    def knock(self, address, *keys):
        """What became of an Open: its last line."""
        run = subprocess.run([STRANGER, address, *keys], stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True, timeout=60, check=False)
        return (run.stdout + run.stderr).strip().splitlines()[-1]

    def test_a_stranger_opens_no_handoff(self):
        self.assertEqual(stat.S_IMODE(os.stat(os.path.join(self.keys(), "decode-0.key")).st_mode), 0o600)
        address = self.cluster.process("prefill-0")["grpc"]
        self.assertEqual(self.knock(address), "nothing: it does not let our key in")
        wait_for(lambda: self.total("baton_handoff_denied_total") >= 1, "the refusal to be counted")
        self.assertIn("is not listed", self.cluster.ctl("logs", "prefill-0").stdout)
        self.assertEqual(self.knock(address, os.path.join(self.keys(), "decode-0.key"), os.path.join(self.keys(), "allowed")), "answered")

    def test_keys_are_rotated_under_load_and_no_handoff_is_lost(self):
        body = {"model": self.cluster.model, "max_tokens": 8, "temperature": 0, "ignore_eos": True}
        statuses, stop = [], threading.Event()

        def load(worker):
            count = 0
            while not stop.is_set():
                count += 1
                statuses.append(self.cluster.post("/v1/completions", dict(body, prompt=f"{worker} {count}: {STORY}"))[0])

        threads = [threading.Thread(target=load, args=(index,)) for index in range(3)]
        for thread in threads:
            thread.start()
        try:
            before = self.cluster.ctl("keys", "list").stdout
            wait_for(lambda: self.handoffs("held") >= 3, "handoffs")
            rotated = self.cluster.ctl("keys", "rotate")
            self.assertEqual(rotated.returncode, 0, rotated.stderr)
            after = self.cluster.ctl("keys", "list").stdout
            settled = self.handoffs("held") + 5
            wait_for(lambda: self.handoffs("held") >= settled, "handoffs under the new keys")
        finally:
            stop.set()
            for thread in threads:
                thread.join()
        self.assertEqual(len(before.splitlines()), len(after.splitlines()))
        self.assertFalse(set(re.findall("[0-9a-f]{64}", before)) & set(re.findall("[0-9a-f]{64}", after)))
        self.assertEqual(set(statuses), {200})
        self.assertEqual(self.handoffs("lost"), 0)

    def test_a_removed_worker_is_cut_off_and_requests_go_on(self):
        body = {"model": self.cluster.model, "max_tokens": 4, "temperature": 0, "ignore_eos": True, "prompt": STORY}
        self.assertEqual(self.cluster.post("/v1/completions", body)[0], 200)
        wait_for(lambda: self.handoffs("held") >= 1, "a handoff")
        self.assertEqual(self.cluster.ctl("keys", "remove", "decode-0").returncode, 0)
        key = [os.path.join(self.keys(), name) for name in ("decode-0.key", "allowed")]
        wait_for(lambda: self.knock(self.cluster.process("prefill-0")["grpc"], *key).startswith("nothing"), "the end of its rights")
        held = self.handoffs("held")
        status, answer = self.cluster.post("/v1/completions", dict(body, prompt="Otherwise. " + STORY))
        self.assertEqual(status, 200, json.dumps(answer))
        self.assertEqual(self.handoffs("held"), held, "recomputed, not handed over")


class PoolKeysTest(unittest.TestCase):
    def test_a_pool_and_its_workers_know_each_other_under_new_keys(self):
        cluster = LocalCluster("--prefill", "1", "--decode", "1", "--kv-pool", "64M")
        self.addCleanup(cluster.close)

        def sample(process, name):
            return cluster.metrics(cluster.process(process)["http"]).get(name, 0)

        def complete(prompt):
            body = {"model": cluster.model, "max_tokens": 4, "temperature": 0, "ignore_eos": True, "prompt": prompt}
            status, answer = cluster.post("/v1/completions", body)
            self.assertEqual(status, 200)
            return answer["choices"][0]["text"]

        def stored(name):
            """A prompt that the pool took, and its answer. On a busy machine it may not take each: losing it costs speed only."""
            for attempt in range(10):
                prompt = f"{name} {attempt}. {STORY}"
                before = sample("kv", "baton_pool_blocks_stored_total")
                text = complete(prompt)
                with contextlib.suppress(TimeoutError):
                    wait_for(lambda: sample("kv", "baton_pool_blocks_stored_total") > before, "the pool to take it", 3)
                    return prompt, text
            self.fail("the pool takes nothing")

        def restart_workers():
            """Both: a prompt that decode-0 holds would not go to prefill-0."""
            pids = {name: cluster.process(name)["id"]["pid"] for name in ("prefill-0", "decode-0")}
            for pid in pids.values():
                os.kill(pid, signal.SIGKILL)
            wait_for(lambda: all(cluster.process(name)["id"]["pid"] not in (0, pid) for name, pid in pids.items())
                     and cluster.healthy_workers() == 2, "the workers")
            attached()

        def attached():
            wait_for(lambda: sample("prefill-0", "baton_kv_pool_attached") == 1, "the pool")

        attached()
        stored("Before")
        rotated = cluster.ctl("keys", "rotate")
        self.assertEqual(rotated.returncode, 0, rotated.stderr)
        fetched = 0
        for life in range(3):  # the first prompt of a life is asked for, whatever it costs
            prompt, text = stored(f"After {life}")
            restart_workers()
            self.assertEqual(complete(prompt), text)
            fetched += sample("prefill-0", 'baton_kv_pool_decisions_total{decision="fetched"}')
        self.assertGreaterEqual(fetched, 1)


if __name__ == "__main__":
    unittest.main()
