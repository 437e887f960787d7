"""The openai client against a running cluster: one prefill and two decode workers, the prompts read by one, answered by another."""

import json
import math
import os
import subprocess
import tempfile
import unittest

from local_cluster import LocalCluster, model_path, wait_for

try:
    import openai
except ImportError:
    openai = None

QUESTION = [{"role": "user", "content": "Name three colours of the rainbow."}]
cluster = None


def setUpModule():
    global cluster
    if openai is None:
        raise unittest.SkipTest("the openai package is not installed (./baton test installs it where pip reaches an index)")
    cluster = LocalCluster()


def tearDownModule():
    if cluster is not None:
        cluster.close()


class OpenAiTest(unittest.TestCase):
    def setUp(self):
        self.client = openai.OpenAI(base_url=cluster.url + "/v1", api_key="none", max_retries=0, timeout=300)

    def chat(self, **options):
        options = {"messages": QUESTION, "max_tokens": 16, "temperature": 0, **options}
        return self.client.chat.completions.create(model=cluster.model, **options)

    def complete(self, **options):
        options = {"prompt": "The capital of France is", "max_tokens": 16, "temperature": 0, **options}
        return self.client.completions.create(model=cluster.model, **options)

    def test_models(self):
        self.assertEqual([model.id for model in self.client.models.list()], [cluster.model])

    def test_chat(self):
        answer = self.chat()
        self.assertEqual(answer.object, "chat.completion")
        self.assertEqual(answer.choices[0].message.role, "assistant")
        self.assertIn(answer.choices[0].finish_reason, ("stop", "length"))
        self.assertEqual(answer.usage.total_tokens, answer.usage.prompt_tokens + answer.usage.completion_tokens)
        self.assertLessEqual(answer.usage.completion_tokens, 16)

    def test_a_stream_says_what_the_whole_answer_says(self):
        whole = self.chat().choices[0]
        pieces, finish, usage = [], None, None
        for event in self.chat(stream=True, stream_options={"include_usage": True}):
            usage = event.usage or usage
            for choice in event.choices:
                pieces.append(choice.delta.content or "")
                finish = choice.finish_reason or finish
        self.assertEqual("".join(pieces), whole.message.content)
        self.assertEqual(finish, whole.finish_reason)
        self.assertGreater(usage.completion_tokens, 0)

    def test_completions(self):
        whole = self.complete()
        self.assertEqual(whole.object, "text_completion")
        streamed = "".join(event.choices[0].text for event in self.complete(stream=True) if event.choices)
        self.assertEqual(streamed, whole.choices[0].text)

    def test_a_seed_gives_the_same_answer_again(self):
        answers = [self.chat(temperature=1.0, seed=7).choices[0].message.content for _ in range(3)]
        self.assertEqual(len(set(answers)), 1)

    def test_n_choices(self):
        choices = self.chat(n=3, temperature=1.0, seed=11).choices
        self.assertEqual(sorted(choice.index for choice in choices), [0, 1, 2])
        self.assertGreater(len({choice.message.content for choice in choices}), 1)

    def test_logprobs(self):
        choice = self.chat(logprobs=True, top_logprobs=3).choices[0]
        self.assertGreater(len(choice.logprobs.content), 0)
        for token in choice.logprobs.content:
            self.assertEqual(len(token.top_logprobs), 3)
            self.assertAlmostEqual(token.logprob, token.top_logprobs[0].logprob, places=4)
            self.assertLessEqual(sum(math.exp(top.logprob) for top in token.top_logprobs), 1.0001)
        self.assertEqual(len(self.complete(logprobs=2).choices[0].logprobs.token_logprobs), 16)

    def test_stop_strings(self):
        whole = self.complete(max_tokens=32).choices[0].text
        stop = whole[len(whole) // 2:][:3]
        stopped = self.complete(max_tokens=32, stop=[stop]).choices[0]
        self.assertEqual(stopped.text, whole[:whole.index(stop)])
        self.assertEqual(stopped.finish_reason, "stop")

    def test_both_names_of_the_length_limit(self):
        answer = self.client.chat.completions.create(model=cluster.model, messages=QUESTION, max_completion_tokens=3,
                                                     extra_body={"ignore_eos": True})
        self.assertEqual(answer.usage.completion_tokens, 3)
        self.assertEqual(answer.choices[0].finish_reason, "length")

    def test_errors(self):
        with self.assertRaises(openai.NotFoundError):
            self.client.chat.completions.create(model="no-such-model", messages=QUESTION)
        for bad in ({"temperature": 9}, {"max_tokens": -1}, {"messages": []}, {"top_p": "high"}, {"n": 100000}):
            with self.subTest(bad=bad), self.assertRaises(openai.BadRequestError) as caught:
                self.chat(**bad)
            self.assertIn("message", caught.exception.body)
        with self.assertRaises(openai.BadRequestError) as caught:
            self.complete(prompt="word " * 200000)
        self.assertRegex(str(caught.exception), "(?i)long|context|large|token")

    def test_malformed_bodies(self):
        for body in (b"{", b"[]", b"", b"\xff\xfe", b"null", b'{"model": 3}', b'{"messages":[{"content":"x"}]}'):
            with self.subTest(body=body):
                status, answer = cluster.post("/v1/chat/completions", body)
                self.assertEqual(status, 400)
                self.assertTrue(answer["error"]["message"])

    def test_cancel_gives_the_pages_back(self):
        stream = self.chat(stream=True, max_tokens=2000, extra_body={"ignore_eos": True})
        for _, event in zip(range(3), stream):
            self.assertTrue(event.choices)
        stream.close()
        wait_for(cluster.idle, "the pages of a cancelled stream")

    def test_the_prompt_was_read_elsewhere(self):
        before = self.held()
        self.complete(prompt="A prompt that nobody has asked before: " + "relay race, " * 30)
        wait_for(lambda: self.held() > before, "a handoff that was held", seconds=20)

    def test_another_tenants_salt_finds_nothing(self):
        prompt = "What a tenant has asked before is nobody else's: " + "round and round, " * 20

        def cached(salt):
            body = {} if salt is None else {"cache_salt": salt}
            return self.complete(prompt=prompt, max_tokens=2, extra_body=body).usage.prompt_tokens_details.cached_tokens

        self.assertEqual(cached("first"), 0)
        wait_for(lambda: cached("first") > 0, "the prompt to be cached where it is asked for again", 20)
        for _ in range(8):  # in the end the decode workers have it and compute the rest themselves
            self.assertGreater(cached("first"), 0)
        self.assertEqual(cached("second"), 0)
        self.assertEqual(cached(None), 0)
        wait_for(lambda: cached(None) > 0, "the prompt without a salt to be cached", 20)
        self.assertEqual(cached("third"), 0)
        for bad in ("", 7, "x" * 300):
            with self.subTest(bad=bad), self.assertRaises(openai.BadRequestError):
                cached(bad)

    @staticmethod
    def held():
        total = 0
        for process in cluster.processes():
            if process["role"] == "decode":
                metrics = cluster.metrics(process["http"])
                total += sum(value for name, value in metrics.items()
                             if name.startswith("baton_handoffs_total") and 'side="reader"' in name and 'outcome="held"' in name)
        return total



class LockedRouterTest(unittest.TestCase):
    """The launcher's commands at a second router, which speaks HTTPS and wants API keys."""

    def setUp(self):
        folder = tempfile.TemporaryDirectory()
        self.addCleanup(folder.cleanup)
        self.folder = folder.name
        self.certificate, keys, address = (os.path.join(self.folder, name) for name in ("cert.pem", "keys", "address"))
        subprocess.run(["openssl", "req", "-x509", "-newkey", "ec", "-pkeyopt", "ec_paramgen_curve:prime256v1", "-nodes", "-subj", "/CN=router",
                        "-addext", "subjectAltName=IP:127.0.0.1", "-keyout", self.certificate + ".key", "-out", self.certificate],
                       check=True, stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL)
        self.user, self.admin = (cluster.ctl("keys", "api", "add", *words, "--file", keys).stdout.strip()
                                 for words in (("user",), ("admin", "--admin")))
        workers = ",".join(process["grpc"] for process in cluster.processes() if process["role"] != "router")
        with open(os.path.join(self.folder, "log"), "wb") as log:
            router = subprocess.Popen(
                [os.path.join(os.environ["BATON_BIN_DIR"], "baton-router"), f"--model={model_path()}", "--listen=127.0.0.1:0",
                 f"--worker={workers}", f"--api_keys={keys}", f"--tls_cert={self.certificate}",
                 f"--tls_key={self.certificate}.key", f"--address_file={address}"], stdout=log, stderr=log)
        self.addCleanup(router.wait)
        self.addCleanup(router.kill)
        wait_for(lambda: os.path.exists(address), "the router")
        with open(address) as file:
            self.address = json.load(file)["http"]
        wait_for(lambda: self.ctl("status", key=self.admin).stdout.count(" healthy ") == 3, "its workers")

    def ctl(self, *words, key="", url="", cacert=""):
        options = [f"--url={url or 'https://' + self.address}", *([f"--api_key={key}"] if key else [])]
        trusted = [] if cacert is None else [f"--cacert={cacert or self.certificate}"]
        return cluster.ctl(words[0], *options, *trusted, *words[1:])

    def test_keys_and_certificates(self):
        chat = self.ctl("chat", "--max-tokens=40", "hello", key=self.user)
        self.assertEqual(chat.returncode, 0, chat.stderr)
        self.assertGreater(len(chat.stdout), 1)
        self.assertEqual(json.loads(self.ctl("streams", "--json", key=self.admin).stdout)["streams"], [])
        plain = "http://" + self.address
        for words, options, expected in (
                (("chat", "hello"), {}, "wants an API key: set BATON_API_KEY"),
                (("chat", "hello"), {"key": self.user[:-4] + "AAAA"}, "does not know this API key"),
                (("streams",), {"key": self.user}, "--admin"),
                (("migrate", "aa", "decode-0"), {"key": self.user}, "--admin"),
                (("migrate", "aa", "decode-0"), {"key": self.admin}, "./baton streams lists"),
                (("status",), {"key": self.admin, "cacert": None}, "is not to be trusted: self-signed certificate"),
                (("status",), {"url": "https://" + self.address.replace("127.0.0.1", "localhost")}, "hostname mismatch"),
                (("status",), {"url": plain, "cacert": None}, "does it want https://?"),
                (("status",), {"url": plain}, "--cacert is for https:// only"),
                (("status",), {"url": cluster.url.replace("http:", "https:")}, "is it plain http://?"),
                (("status",), {"cacert": os.path.join(self.folder, "none")}, "no certificates could be read")):
            with self.subTest(words=words, expected=expected):
                failed = self.ctl(*words, **options)
                self.assertEqual(failed.returncode, 1, failed.stdout)
                self.assertIn(expected, failed.stderr)

    def test_the_environment_names_the_key(self):
        self.addCleanup(cluster.environment.pop, "BATON_API_KEY")
        cluster.environment["BATON_API_KEY"] = self.admin
        self.assertEqual(self.ctl("streams").returncode, 0)


if __name__ == "__main__":
    unittest.main()
