"""Starts router, prefill and decode processes on free ports and reads what they report; for tests that need odd shapes."""

import contextlib
import http.client
import json
import os
import re
import subprocess
import time
import urllib.request


os.environ.update(no_proxy="127.0.0.1,localhost", NO_PROXY="127.0.0.1,localhost")


def stream_token_ids(port, body):
    """Streams one /v1/completions request: yields the token ids of each event. Closing the generator disconnects."""
    body = dict(body, stream=True, ignore_eos=True, return_token_ids=True)
    connection = http.client.HTTPConnection("127.0.0.1", port, timeout=900)
    try:
        connection.request("POST", "/v1/completions", json.dumps(body), {"Content-Type": "application/json"})
        response = connection.getresponse()
        if response.status != 200:
            raise RuntimeError(f"HTTP {response.status}: {response.read()[:300]!r}")
        for line in response:
            if not line.startswith(b"data: ") or line.strip() == b"data: [DONE]":
                continue
            event = json.loads(line[6:])
            if "error" in event:
                raise RuntimeError(f"error event: {event['error']}")
            yield [token for choice in event["choices"] for token in choice.get("token_ids") or []]
    finally:
        connection.close()


def stream_completion(port, request):
    """Its token ids. Disconnects after request["cancel_after"] tokens."""
    tokens = []
    events = stream_token_ids(port, {key: value for key, value in request.items() if key != "cancel_after"})
    with contextlib.closing(events):
        for some in events:
            tokens += some
            if request["cancel_after"] is not None and len(tokens) >= request["cancel_after"]:
                break
    return tokens


def read_metrics(address):
    """The Prometheus samples of one process: {name{labels}: value}."""
    text = urllib.request.urlopen(f"http://{address}/metrics", timeout=10).read().decode()
    samples = {}
    for line in text.splitlines():
        match = re.match(r"^([a-zA-Z_:][^ ]*(?:\{.*\})?) ([-+0-9.eE]+|NaN|\+Inf)$", line)
        if match:
            samples[match.group(1)] = float(match.group(2))
    return samples


class Cluster:
    """A cluster for the length of a `with` block. Token budgets and chunk sizes are drawn from `rng`."""

    def __init__(self, args, state, prefills, decodes, pages, rng, worker_flags=()):
        self.args, self.state, self.rng, self.worker_flags = args, state, rng, worker_flags
        self.prefills, self.decodes, self.pages = prefills, decodes, pages
        self.processes, self.addresses = [], {}

    def __enter__(self):
        os.makedirs(self.state)
        try:
            for index in range(self.prefills):
                self._start_worker("prefill", index, 4096)
            for index in range(self.decodes):
                self._start_worker("decode", index, self.pages)
            workers = [self._address(name)["grpc"] for name in list(self.addresses)]
            self._start("baton-router", "router", ["--listen=127.0.0.1:0", "--worker=" + ",".join(workers),
                                                   "--request_timeout=900s", "--capacity_timeout=600s"])
            self.port = int(self._address("router")["http"].rsplit(":", 1)[1])
            self._wait(self._ready, 60, "the router to be ready")
        except BaseException:
            self.__exit__()
            raise
        return self

    def _start_worker(self, role, index, pages):
        chunk = self.rng.choice([16, 48, 100, 256, 512])
        self._start(f"baton-{role}", f"{role}{index}", [
            "--grpc_listen=127.0.0.1:0", "--http_listen=127.0.0.1:0", "--kv_listen=tcp://127.0.0.1:0",
            f"--threads={self.args.threads}", f"--pages={pages}", f"--prefill_chunk={chunk}",
            f"--token_budget={self.rng.choice([64, 200, 512, 1024])}", f"--name={role}{index}", *self.worker_flags])

    def _start(self, binary, name, flags):
        log = open(f"{self.state}/{name}.log", "wb")
        self.addresses[name] = f"{self.state}/{name}.json"
        self.processes.append(subprocess.Popen(
            [f"{self.args.bin_dir}/{binary}", f"--model={self.args.model}", f"--address_file={self.addresses[name]}", *flags],
            stdout=log, stderr=log))

    def _wait(self, condition, seconds, what):
        deadline = time.monotonic() + seconds
        while not condition():
            for process in self.processes:
                if process.poll() is not None:
                    raise RuntimeError(f"{process.args[0]} ended with {process.returncode}; see the logs in {self.state}")
            if time.monotonic() > deadline:
                raise TimeoutError(f"waited {seconds} s for {what}")
            time.sleep(0.05)

    def _address(self, name):
        path = self.addresses[name]
        self._wait(lambda: os.path.exists(path), 60, f"{name} to be ready")
        with open(path) as file:
            return json.load(file)

    def _ready(self):
        try:
            status = self.status()
        except OSError:
            return False
        return sum(bool(worker["healthy"]) for worker in status["workers"]) == self.prefills + self.decodes

    def status(self):
        return json.load(urllib.request.urlopen(f"http://127.0.0.1:{self.port}/baton/status", timeout=10))

    def counters(self):
        """Preemptions and prefix hits of all ranks, and how the decode workers' pulls ended."""
        totals = {"preemptions": 0, "prefix_hits": 0, "held": 0, "lost": 0}
        for name in self.addresses:
            if name == "router":
                continue
            for sample, value in read_metrics(self._address(name)["http"]).items():
                if sample.startswith("baton_preemptions_total"):
                    totals["preemptions"] += int(value)
                elif sample.startswith("baton_prefix_hits_total"):
                    totals["prefix_hits"] += int(value)
                elif sample.startswith("baton_handoffs_total") and 'side="reader"' in sample:
                    totals["held" if 'outcome="held"' in sample else "lost"] += int(value)
        return totals

    def wait_idle(self):
        """Until every page of every rank is free or cached."""
        def idle():
            ranks = [rank for worker in self.status()["workers"] for rank in worker["ranks"]]
            return all(rank["pages"][name] == 0 for rank in ranks for name in ("used", "pinned", "pulling", "quarantined"))
        self._wait(idle, 60, "all pages to be given back")

    def __exit__(self, *unused):
        for process in self.processes:
            process.terminate()
        for process in self.processes:
            try:
                process.wait(20)
            except subprocess.TimeoutExpired:
                process.kill()
                process.wait()
