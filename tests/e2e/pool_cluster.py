"""Router, one prefill and one decode worker, and a KV pool, as processes that can be stopped and started singly."""

import json
import os
import re
import subprocess
import time
import urllib.request

from split_cluster import stream_token_ids


os.environ.update(no_proxy="127.0.0.1,localhost", NO_PROXY="127.0.0.1,localhost")

LISTEN = ["--grpc_listen=127.0.0.1:0", "--http_listen=127.0.0.1:0"]


class PoolCluster:
    """A cluster for the length of a `with` block; state files lie in `state`."""

    def __init__(self, bin_dir, model, state, worker_flags=(), pool_flags=()):
        self.bin_dir, self.model, self.state = bin_dir, model, state
        self.worker_flags, self.pool_flags = list(worker_flags), list(pool_flags)
        self.processes = {}

    def __enter__(self):
        os.makedirs(self.state, exist_ok=True)
        return self

    def __exit__(self, *unused):
        for name in list(self.processes):
            self.stop(name)

    def start_pool(self):
        """On a socket of its own: its address stays when it is started again."""
        self._start("kv", "baton-kv", [f"--grpc_listen=unix:{self.state}/kv.sock", "--http_listen=127.0.0.1:0",
                                       "--kv_listen=tcp://127.0.0.1:0", *self.pool_flags])

    def start_workers(self, pool):
        """With `pool`, the prefill worker uses it."""
        flags = LISTEN + ["--kv_listen=tcp://127.0.0.1:0", f"--model={self.model}", *self.worker_flags]
        use = [f"--kv_pool={self.address('kv')['grpc']}"] if pool else []
        self._start("prefill", "baton-prefill", ["--name=prefill", *flags, *use])
        self._start("decode", "baton-decode", ["--name=decode", *flags])
        workers = ",".join(self.address(name)["grpc"] for name in ("prefill", "decode"))
        self._start("router", "baton-router", [f"--model={self.model}", "--listen=127.0.0.1:0", f"--worker={workers}"])
        self.port = int(self.address("router")["http"].rsplit(":", 1)[1])
        self.wait(self._ready, 60, "the router to be ready")
        if pool:
            self.wait(lambda: self.metrics("prefill").get("baton_kv_pool_attached") == 1, 30, "the pool")

    def stop_workers(self):
        for name in ("router", "prefill", "decode"):
            self.stop(name)

    def stop(self, name, kill=False):
        process = self.processes.pop(name)
        process.kill() if kill else process.terminate()
        try:
            process.wait(20)
        except subprocess.TimeoutExpired:
            process.kill()
            process.wait()

    def pause(self, name, signal):
        self.processes[name].send_signal(signal)

    def address(self, name):
        path = f"{self.state}/{name}.json"
        self.wait(lambda: os.path.exists(path), 60, f"{name} to be ready")
        with open(path) as file:
            return json.load(file)

    def metrics(self, name):
        """The Prometheus samples of one process: {name{labels}: value}."""
        url = f"http://{self.address(name)['http']}/metrics"
        samples = {}
        for line in urllib.request.urlopen(url, timeout=10).read().decode().splitlines():
            match = re.match(r"^([a-zA-Z_:][^ ]*(?:\{.*\})?) ([-+0-9.eE]+|NaN|\+Inf)$", line)
            if match:
                samples[match.group(1)] = float(match.group(2))
        return samples

    def wait(self, condition, seconds, what):
        deadline = time.monotonic() + seconds
        while not condition():
            for process in self.processes.values():
                if process.poll() is not None:
                    raise RuntimeError(f"{process.args[0]} ended with {process.returncode}; see the logs in {self.state}")
            if time.monotonic() > deadline:
                raise TimeoutError(f"waited {seconds} s for {what}")
            time.sleep(0.02)

    def wait_stored(self, blocks):
        """Until the pool has taken so many blocks in all, and written what it writes."""
        def stored():
            samples = self.metrics("kv")
            disk = samples.get("baton_pool_disk_blocks", 0) if samples.get("baton_pool_disk_on") else blocks
            return samples.get("baton_pool_blocks_stored_total", 0) >= blocks and disk >= blocks
        self.wait(stored, 60, f"the pool to hold {blocks} blocks")

    def complete(self, prompt, max_tokens):
        """Streams a greedy completion of a list of token ids: its tokens, and the seconds to the first."""
        tokens, first = [], None
        begun = time.monotonic()
        for some in stream_token_ids(self.port, {"prompt": prompt, "max_tokens": max_tokens, "temperature": 0}):
            tokens += some
            if tokens and first is None:
                first = time.monotonic() - begun
        return tokens, first

    def _start(self, name, binary, flags):
        path = f"{self.state}/{name}.json"
        if os.path.exists(path):
            os.remove(path)
        with open(f"{self.state}/{name}.log", "ab") as log:
            self.processes[name] = subprocess.Popen([f"{self.bin_dir}/{binary}", f"--address_file={path}", *flags],
                                                    stdout=log, stderr=log)

    def _ready(self):
        try:
            status = json.load(urllib.request.urlopen(f"http://127.0.0.1:{self.port}/baton/status", timeout=10))
        except OSError:
            return False
        return sum(bool(worker["healthy"]) for worker in status["workers"]) == 2
