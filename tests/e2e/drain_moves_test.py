"""A decode worker that is told to stop hands its running streams to another one: same tokens, no error; and `baton migrate`."""

import json
import os
import signal
import threading
import unittest

from local_cluster import TINY_MODEL, LocalCluster, events, model_path, wait_for

STORY = "Once upon a time a runner carried a baton around the track, and the next one waited. " * 6
TINY = model_path() == TINY_MODEL  # answers a hundred times as fast
TOKENS = 3500 if TINY else 400


class Reader:
    """A stream that is read in a thread, up to its end."""

    def __init__(self, cluster, body):
        self.connection, self.response = cluster.open_stream("/v1/completions", body)
        self.tokens, self.errors, self.reasons = [], [], []
        self.thread = threading.Thread(target=self.read)
        self.thread.start()

    def read(self):
        for event in events(self.response):
            if "error" in event:
                self.errors.append(event["error"])
                continue
            for choice in event["choices"]:
                self.tokens += choice.get("token_ids") or []
                if choice.get("finish_reason"):
                    self.reasons.append(choice["finish_reason"])


class RanksTest(unittest.TestCase):
    def test_a_stream_moves_between_ranks_of_one_worker(self):
        cluster = LocalCluster("--prefill", "1", "--decode", "1", "--ranks", "2")
        self.addCleanup(cluster.close)
        body = {"model": cluster.model, "prompt": STORY, "max_tokens": TOKENS, "ignore_eos": True, "temperature": 0.8, "seed": 7,
                "return_token_ids": True}
        reader = Reader(cluster, body)

        def movable():
            return [stream for stream in json.loads(cluster.get("/baton/streams"))["streams"] if stream["movable"]]
        for _ in range(4):
            stream = wait_for(movable, "the stream to decode")[0]
            status, answer = cluster.post("/baton/migrate", {"stream": stream["id"], "to": f"decode-0/{1 - stream['rank']}"})
            self.assertEqual(status, 200, answer)
        reader.thread.join(120)
        reader.connection.close()
        self.assertEqual(reader.errors, [])
        status, answer = cluster.post("/v1/completions", body)
        self.assertEqual(status, 200)
        self.assertEqual(reader.tokens, answer["choices"][0]["token_ids"])
        wait_for(cluster.idle, "all pages to come home")


class DrainMovesTest(unittest.TestCase):
    def setUp(self):
        self.cluster = LocalCluster("--prefill", "1", "--decode", "2", "--", "--drain_grace=25s")
        self.addCleanup(self.cluster.close)
        self.bodies = [{"model": self.cluster.model, "prompt": f"Story {index}: {STORY}", "max_tokens": TOKENS, "ignore_eos": True,
                        "temperature": 0.8 * (index % 2), "seed": 7 + index, "return_token_ids": True} for index in range(3)]

    def streams(self):
        return json.loads(self.cluster.get("/baton/streams"))["streams"]

    def movable(self):
        found = [stream for stream in self.streams() if stream["movable"]]
        return found if len(found) == len(self.bodies) else None

    def expected(self, index):
        status, answer = self.cluster.post("/v1/completions", self.bodies[index])
        self.assertEqual(status, 200, answer)
        return answer["choices"][0]["token_ids"]

    def check_all(self, readers):
        for index, reader in enumerate(readers):
            reader.thread.join(120)
            reader.connection.close()
            self.assertEqual(reader.errors, [])
            self.assertEqual(reader.reasons, ["length"])
            self.assertEqual(len(reader.tokens), TOKENS)
            self.assertEqual(reader.tokens, self.expected(index))

    def moved(self):
        return self.cluster.metrics(self.cluster.address).get('baton_router_migrations_total{outcome="moved"}', 0)

    def test_sigterm_mid_stream_moves_the_streams_away(self):
        readers = [Reader(self.cluster, body) for body in self.bodies]
        running = wait_for(self.movable, "all streams to decode")
        victim = running[0]["worker"]
        there = [stream["id"] for stream in running if stream["worker"] == victim]
        os.kill(self.cluster.process(victim)["id"]["pid"], signal.SIGTERM)

        def nobody_there():
            return all(stream["worker"] != victim for stream in self.streams() if stream["id"] in there)
        wait_for(nobody_there, "the streams to leave the draining worker", seconds=20)
        wait_for(lambda: self.cluster.process(victim)["restarts"] == 1, "the worker to have gone, and come back")
        self.check_all(readers)
        self.assertGreaterEqual(self.moved(), 1)
        wait_for(self.cluster.idle, "all pages to come home")

    def test_an_operator_moves_a_stream_by_hand(self):
        readers = [Reader(self.cluster, body) for body in self.bodies]
        stream = wait_for(self.movable, "all streams to decode")[0]
        target = {"decode-0": "decode-1", "decode-1": "decode-0"}[stream["worker"]]
        listed = self.cluster.ctl("streams")
        self.assertIn(stream["id"], listed.stdout)
        moved = self.cluster.ctl("migrate", stream["id"][:16], target + "/0")
        self.assertEqual(moved.returncode, 0, moved.stderr)
        self.assertIn(f"to {target}/0", moved.stdout)
        for words, expected in (((stream["id"], target), "at that rank already"), ((stream["id"], "prefill-0"), "does not decode"),
                                ((stream["id"], "nobody"), "no worker is called 'nobody'"), ((stream["id"], target + "/7"), "no rank 7")):
            with self.subTest(words=words):
                refused = self.cluster.ctl("migrate", *words)
                self.assertEqual(refused.returncode, 1)
                self.assertIn(expected, refused.stderr)
        self.check_all(readers)
        self.assertEqual(self.moved(), 1)
        wait_for(self.cluster.idle, "all pages to come home")


if __name__ == "__main__":
    unittest.main()
