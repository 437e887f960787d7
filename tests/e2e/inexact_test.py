"""A prefill worker that stores keys and values otherwise than the decode worker: never paired unasked; with --accept_inexact_kv
at both the answer says that it is inexact, and what was handed over serves no other request."""

import http.client
import json
import os
import random
import tempfile
import unittest

from pool_cluster import LISTEN, PoolCluster

MODEL = os.path.join(os.environ["BATON_SOURCE_DIR"], "tests/goldens/model/tiny-llama.gguf")
PROMPT = [random.Random(9).randrange(200) for _ in range(180)]
ACCEPT = "--accept_inexact_kv"


class MixedCluster(PoolCluster):
    """Prefill stores f32, decode f16."""

    def start(self, prefill_flags, decode_flags):
        flags = LISTEN + ["--kv_listen=tcp://127.0.0.1:0", f"--model={self.model}", "--pages=512"]
        self._start("prefill", "baton-prefill", ["--name=prefill", "--kv_dtype=f32", *flags, *prefill_flags])
        self._start("decode", "baton-decode", ["--name=decode", "--kv_dtype=f16", *flags, *decode_flags])
        workers = ",".join(self.address(name)["grpc"] for name in ("prefill", "decode"))
        self._start("router", "baton-router", [f"--model={self.model}", "--listen=127.0.0.1:0", f"--worker={workers}"])
        self.port = int(self.address("router")["http"].rsplit(":", 1)[1])
        self.wait(self._ready, 60, "the router to be ready")

    def ask(self, **options):
        """(headers, body) of one completion."""
        body = {"prompt": PROMPT, "max_tokens": 12, "temperature": 0, "ignore_eos": True, "return_token_ids": True, **options}
        connection = http.client.HTTPConnection("127.0.0.1", self.port, timeout=60)
        try:
            connection.request("POST", "/v1/completions", json.dumps(body), {"Content-Type": "application/json"})
            response = connection.getresponse()
            text = response.read().decode()
            if response.status != 200:
                raise RuntimeError(f"HTTP {response.status}: {text[:300]}")
            return response.headers, text
        finally:
            connection.close()

    def sum(self, name, sample):
        return self.metrics(name).get(sample, 0)


class InexactTest(unittest.TestCase):
    def start(self, prefill_flags, decode_flags):
        folder = tempfile.TemporaryDirectory()
        self.addCleanup(folder.cleanup)
        cluster = MixedCluster(os.environ["BATON_BIN_DIR"], MODEL, f"{folder.name}/state")
        cluster.__enter__()
        self.addCleanup(cluster.__exit__)
        cluster.start(prefill_flags, decode_flags)
        return cluster

    def test_unasked_the_two_are_never_paired(self):
        for flags in ([], []), ([], [ACCEPT]), ([ACCEPT], []):
            with self.subTest(flags=flags):
                cluster = self.start(*flags)
                headers, text = cluster.ask()
                self.assertIsNone(headers["Baton-Inexact"])
                self.assertNotIn("inexact", json.loads(text))
                self.assertEqual(cluster.sum("prefill", 'baton_computed_tokens_total{rank="0"}'), 0)
                self.assertEqual(cluster.sum("router", "baton_streams_inexact_total"), 0)

    def test_with_the_flag_every_answer_says_that_it_is_inexact(self):
        cluster = self.start([ACCEPT], [ACCEPT])
        answers = []
        for _ in range(2):
            headers, text = cluster.ask()
            self.assertEqual(headers["Baton-Inexact"], "true")
            whole = json.loads(text)
            self.assertIs(whole["inexact"], True)
            answers.append(whole["choices"][0]["token_ids"])
        self.assertEqual([len(tokens) for tokens in answers], [12, 12])
        headers, text = cluster.ask(stream=True)
        self.assertEqual(headers["Baton-Inexact"], "true")
        events = [json.loads(line[6:]) for line in text.splitlines() if line.startswith("data: {")]
        self.assertTrue(all(event["inexact"] for event in events))
        self.assertEqual(cluster.sum("router", "baton_streams_inexact_total"), 3)
        held = cluster.sum("decode", "baton_handoffs_inexact_total")
        self.assertGreaterEqual(held, 1)
        if held == 3:  # a lost one was computed here, exactly, and may be shared
            self.assertEqual(cluster.sum("decode", 'baton_prefix_hits_total{rank="0"}'), 0)
        headers, text = cluster.ask(prompt=PROMPT[:20])
        self.assertIsNone(headers["Baton-Inexact"], "the decode worker's own work is exact")


if __name__ == "__main__":
    unittest.main()
