"""A running cluster when things go wrong: dead workers, disconnects, drain. Never a hang, never a page lost."""

import json
import os
import signal
import threading
import unittest

from local_cluster import TINY_MODEL, LocalCluster, events, model_path, process_lives, wait_for

STORY = "Once upon a time a runner carried a baton around the track, and the next one waited. " * 6  # long enough to be handed off
TINY = model_path() == TINY_MODEL  # answers a hundred times as fast
LONG = {"prompt": STORY, "max_tokens": 3000 if TINY else 1500, "temperature": 0, "ignore_eos": True}


class FaultsTest(unittest.TestCase):
    def setUp(self):
        self.cluster = LocalCluster("--prefill", "1", "--decode", "2")
        self.addCleanup(self.cluster.close)
        self.body = dict(LONG, model=self.cluster.model)

    def start_streams(self, count):
        """[(connection, event iterator)], each past its first event."""
        streams = []
        for index in range(count):
            connection, response = self.cluster.open_stream("/v1/completions", dict(self.body, prompt=f"Story {index}: {STORY}"))
            self.addCleanup(connection.close)
            iterator = events(response)
            next(iterator)
            streams.append((connection, iterator))
        return streams

    def complete(self, max_tokens=4):
        return self.cluster.post("/v1/completions", dict(self.body, max_tokens=max_tokens))

    def busy_decode_workers(self):
        return [worker["name"] for worker in self.cluster.status_workers()
                if worker["name"].startswith("decode") and any(rank["running"] for rank in worker["ranks"])]

    def test_kill_9_of_a_decode_worker_ends_no_stream_and_it_comes_back(self):
        streams = self.start_streams(2)
        victim = wait_for(self.busy_decode_workers, "a busy decode worker")[0]
        os.kill(self.cluster.process(victim)["id"]["pid"], signal.SIGKILL)
        for _, iterator in streams:
            last = None
            for last in iterator:
                self.assertNotIn("error", last)
            self.assertEqual(last["choices"][0]["finish_reason"], "length")
        self.assertEqual(self.complete()[0], 200)
        wait_for(lambda: self.cluster.process(victim)["restarts"] == 1, "the supervisor to start it again")
        wait_for(lambda: self.cluster.healthy_workers() == 3, "the router to see it again")
        wait_for(self.cluster.idle, "all pages to come back")
        self.assertIn("was killed by signal 9", self.cluster.ctl("logs", "supervisor").stdout)
        served = {worker["name"] for worker in self.cluster.status_workers()}
        self.assertIn(victim, served)

    def test_without_its_prefill_worker_a_request_is_answered_or_refused_clearly(self):
        os.kill(self.cluster.process("prefill-0")["id"]["pid"], signal.SIGKILL)
        status, answer = self.complete()
        self.assertIn(status, (200, 502, 503))
        if status != 200:
            self.assertTrue(answer["error"]["message"])
        wait_for(lambda: self.cluster.healthy_workers() == 3, "the prefill worker to come back")
        self.assertEqual(self.complete()[0], 200)

    def test_disconnects_free_everything(self):
        for connection, _ in self.start_streams(6):
            connection.close()
        wait_for(self.cluster.idle, "the pages of six abandoned streams")
        self.assertEqual(self.complete()[0], 200)

    def test_a_worker_that_drains_finishes_its_streams(self):
        body = dict(self.body, max_tokens=3000 if TINY else 120)
        connection, response = self.cluster.open_stream("/v1/completions", body)
        self.addCleanup(connection.close)
        iterator = events(response)
        next(iterator)
        victim = wait_for(self.busy_decode_workers, "a busy decode worker")[0]
        os.kill(self.cluster.process(victim)["id"]["pid"], signal.SIGTERM)
        last = None
        for last in iterator:
            self.assertNotIn("error", last)
        self.assertEqual(last["choices"][0]["finish_reason"], "length")
        wait_for(lambda: self.cluster.process(victim)["last_exit"] == "exited with 0", "the drained worker to exit with 0")

    def test_down_lets_streams_finish_and_leaves_nothing(self):
        body = dict(self.body, max_tokens=60)
        connection, response = self.cluster.open_stream("/v1/completions", body)
        self.addCleanup(connection.close)
        iterator = events(response)
        next(iterator)
        pids = [process["id"]["pid"] for process in self.cluster.processes()]
        down = threading.Thread(target=lambda: self.cluster.ctl("down"))
        down.start()
        rest = list(iterator)
        down.join()
        self.assertEqual(rest[-1]["choices"][0]["finish_reason"], "length", json.dumps(rest[-1]))
        self.assertFalse([pid for pid in pids if process_lives(pid)])
        self.assertEqual(os.listdir(self.cluster.state), [])

    def test_status_and_logs_tell_the_truth(self):
        table = self.cluster.ctl("status").stdout
        for expected in ("router", "prefill-0", "decode-0", "decode-1", "healthy", "FREE"):
            self.assertIn(expected, table)
        self.assertNotIn("unhealthy", table)
        for process in self.cluster.processes():
            self.assertTrue(self.cluster.ctl("logs", process["name"]).stdout, process["name"])
            for path in ("/healthz", "/readyz", "/metrics"):  # anything but 200 raises
                self.cluster.get(path, process["http"])
        # Sampled, a tiny random model may well begin with its end token, or with spaces: an answer too.
        chat = self.cluster.ctl("chat", "--max-tokens", "5", "--temperature", "0", "Hello")
        self.assertEqual(chat.returncode, 0, chat.stderr)
        self.assertTrue(chat.stdout.strip())


if __name__ == "__main__":
    unittest.main()
