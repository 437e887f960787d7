"""The KV pool with real processes: prompts come back after a restart with the same tokens, and losing the pool in any way
costs speed only."""

import os
import random
import signal
import tempfile
import time
import unittest

from pool_cluster import PoolCluster

MODEL = os.path.join(os.environ["BATON_SOURCE_DIR"], "tests/goldens/model/tiny-llama.gguf")


class KvPoolTest(unittest.TestCase):
    def setUp(self):
        folder = tempfile.TemporaryDirectory()
        self.addCleanup(folder.cleanup)
        flags = ["--memory_mb=64", "--disk_mb=128", f"--disk_dir={folder.name}/disk"]
        self.cluster = PoolCluster(os.environ["BATON_BIN_DIR"], MODEL, f"{folder.name}/state", ["--pages=512"], flags)
        self.cluster.__enter__()
        self.addCleanup(self.cluster.__exit__)
        rng = random.Random(5)
        self.prompts = [[rng.randrange(200) for _ in range(180)] for _ in range(4)]
        self.cluster.start_pool()
        self.cluster.start_workers(pool=True)
        self.answers = [self.cluster.complete(prompt, 12)[0] for prompt in self.prompts]
        self.cluster.wait_stored(4 * (180 // 16))

    def decisions(self, decision):
        return self.cluster.metrics("prefill").get(f'baton_kv_pool_decisions_total{{decision="{decision}"}}', 0)

    def restart_workers(self):
        self.cluster.stop_workers()
        self.cluster.start_workers(pool=True)

    def check_answers(self):
        for prompt, answer in zip(self.prompts, self.answers):
            self.assertEqual(self.cluster.complete(prompt, 12)[0], answer)

    def test_prompts_come_back_from_memory_and_from_disk(self):
        self.restart_workers()
        self.check_answers()
        self.assertGreaterEqual(self.decisions("fetched"), 1)
        self.cluster.stop_workers()
        self.cluster.stop("kv", kill=True)
        self.cluster.start_pool()
        self.cluster.start_workers(pool=True)
        self.check_answers()
        self.assertGreaterEqual(self.decisions("fetched"), 1)
        self.assertEqual(self.decisions("lost"), 0)
        pool = self.cluster.metrics("kv")
        self.assertGreater(pool['baton_pool_disk_blocks_total{event="read"}'], 0)
        self.assertEqual(pool['baton_pool_disk_blocks_total{event="refused"}'], 0)

    def test_losing_the_pool_costs_speed_only(self):
        self.restart_workers()
        self.cluster.pause("kv", signal.SIGSTOP)
        begun = time.monotonic()
        self.check_answers()
        self.assertLess(time.monotonic() - begun, 10)
        self.cluster.pause("kv", signal.SIGCONT)
        self.restart_workers()
        self.cluster.stop("kv", kill=True)
        self.check_answers()
        self.assertEqual(self.decisions("fetched"), 0)

    def test_a_restarted_pool_is_found_again(self):
        self.cluster.stop("kv", kill=True)
        self.cluster.wait(lambda: self.cluster.metrics("prefill")["baton_kv_pool_attached"] == 0, 20, "its loss to be seen")
        self.cluster.start_pool()
        self.cluster.wait(lambda: self.cluster.metrics("prefill")["baton_kv_pool_attached"] == 1, 30, "the pool")
        fresh = [token + 1 for token in self.prompts[0]]
        self.cluster.complete(fresh, 4)
        self.cluster.wait_stored(180 // 16)


if __name__ == "__main__":
    unittest.main()
