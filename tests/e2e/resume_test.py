"""Streams outlive their router: it is killed while they run, alone or with a decode worker, and the other router goes on with
them, to the byte."""

import http.client
import json
import os
import random
import signal
import tempfile
import threading
import types
import unittest

from local_cluster import TINY_MODEL, model_path
from split_cluster import Cluster

TINY = model_path() == TINY_MODEL
TOKENS = 500 if TINY else 60
STREAMS = 32
STORY = "Once upon a time a runner carried a baton around the track, and the next one waited for it. "


def body_of(index):
    """Short prompts, which the decode worker computes itself, and long ones; greedy and sampled; some with all that there is."""
    body = {"max_tokens": TOKENS, "temperature": 0.9 * (index % 2), "seed": index, "stream": True, "ignore_eos": True,
            "return_token_ids": True, "stream_options": {"include_usage": True}}
    text = f"{index % 8}: " + STORY * (index % 4)
    if index % 3 == 0:
        return "/v1/chat/completions", dict(body, messages=[{"role": "user", "content": text}], logprobs=True, top_logprobs=2)
    return "/v1/completions", dict(body, prompt=text, n=1 + index % 2)


class Reader:
    """A client that takes whole events only, from one connection after the other."""

    def __init__(self, index):
        self.path, self.body = body_of(index)
        self.choices, self.usage, self.done, self.last_id, self.events = {}, None, False, None, 0
        self.moving = threading.Event()
        self.failure = None

    def read(self, port):
        connection = http.client.HTTPConnection("127.0.0.1", port, timeout=120)
        headers = {"Content-Type": "application/json"}
        if self.last_id:
            headers["Last-Event-ID"] = self.last_id
        try:
            connection.request("POST", self.path, json.dumps(self.body), headers)
            response = connection.getresponse()
            if response.status != 200:
                self.failure = f"HTTP {response.status}: {response.read()[:300]!r}"
                return
            event = {}
            for line in response:
                if line.strip():
                    name, _, value = line.decode().strip().partition(": ")
                    event[name] = value
                    continue
                if "data" in event:  # not a comment
                    self.take(event)
                event = {}
        except (OSError, http.client.HTTPException):
            pass
        finally:
            connection.close()
            self.moving.set()

    def take(self, event):
        if event["data"] == "[DONE]":
            self.done = True
            return
        data = json.loads(event["data"])
        if "error" in data:
            self.failure = data["error"]
            return
        self.usage = data.get("usage") or self.usage
        for choice in data["choices"]:
            got = self.choices.setdefault(choice["index"], {"text": "", "scores": [], "tokens": [], "finish": None})
            got["text"] += choice.get("text") or choice.get("delta", {}).get("content") or ""
            got["scores"] += (choice["logprobs"] or {}).get("content", [])
            got["tokens"] += choice.get("token_ids") or []
            got["finish"] = choice["finish_reason"] or got["finish"]
        self.last_id = event.get("id", self.last_id)  # a chat's first event, of the role, has none
        self.events += 1
        if self.events == 8:
            self.moving.set()

    def answer(self):
        usage = {name: count for name, count in self.usage.items() if name != "prompt_tokens_details"} if self.usage else None
        return self.choices, usage, self.done, self.failure


class TwoRouters(Cluster):
    """Its routers' ports are in `ports`."""

    def __enter__(self):
        super().__enter__()
        self.ports = [self.port, self.start_router("router-b")]
        return self

    def start_router(self, name):
        workers = [self._address(worker)["grpc"] for worker in self.addresses if not worker.startswith("router")]
        self._start("baton-router", name, ["--listen=127.0.0.1:0", "--worker=" + ",".join(workers)])
        first, self.port = self.port, int(self._address(name)["http"].rsplit(":", 1)[1])
        self._wait(self._ready, 60, "a router to be ready")
        self.port, ready = first, self.port
        return ready

    def kill(self, *names):
        pids = [self._address(name)["pid"] for name in names]
        for pid in pids:
            os.kill(pid, signal.SIGKILL)
        for process in [process for process in self.processes if process.pid in pids]:
            process.wait()
            self.processes.remove(process)


def run_all(work, readers):
    threads = [threading.Thread(target=work, args=(reader,)) for reader in readers]
    for thread in threads:
        thread.start()
    return threads


class ResumeTest(unittest.TestCase):
    maxDiff = 2000

    def setUp(self):
        folder = tempfile.TemporaryDirectory(prefix="baton-resume-")
        self.addCleanup(folder.cleanup)
        args = types.SimpleNamespace(bin_dir=os.environ["BATON_BIN_DIR"], model=model_path(), threads=1)
        self.cluster = TwoRouters(args, folder.name + "/state", 1, 2, 4096, random.Random(3))
        self.cluster.__enter__()
        self.addCleanup(self.cluster.__exit__)
        self.expected = [Reader(index) for index in range(STREAMS)]
        for thread in run_all(lambda reader: reader.read(self.cluster.ports[1]), self.expected):
            thread.join()
        for reader in self.expected:
            self.assertTrue(reader.done and not reader.failure, reader.failure)

    def break_off(self, *names):
        """Starts all streams at the first router, kills `names`, and reads on at the second one."""
        readers = [Reader(index) for index in range(STREAMS)]
        threads = run_all(lambda reader: reader.read(self.cluster.ports[0]), readers)
        for reader in readers:
            self.assertTrue(reader.moving.wait(60))
        self.cluster.kill(*names)
        for thread in threads:
            thread.join()
        cut = [reader for reader in readers if not reader.done]
        self.assertGreater(len(cut), STREAMS // 2, "the streams were over too soon")
        for thread in run_all(lambda reader: reader.read(self.cluster.ports[1]), cut):
            thread.join()
        for index, reader in enumerate(readers):
            self.assertEqual(reader.answer(), self.expected[index].answer(), f"stream {index}")
        self.cluster.port = self.cluster.ports[1]

    def test_the_router_is_killed_again_and_again(self):
        for name in ("router", "router-c", "router-d"):
            if name != "router":
                self.cluster.ports[0] = self.cluster.start_router(name)
            self.break_off(name)
        self.cluster.wait_idle()

    def test_the_router_and_a_decode_worker_are_killed_together(self):
        self.break_off("router", "decode0")


if __name__ == "__main__":
    unittest.main()
