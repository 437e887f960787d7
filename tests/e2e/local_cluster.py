"""A cluster started by baton-ctl, with its own state folder and free ports, for the length of a test class."""

import http.client
import json
import os
import re
import shutil
import subprocess
import tempfile
import time
import urllib.request

SANITIZED = bool(os.environ.get("BATON_SANITIZE"))
TINY_MODEL = os.path.join(os.environ["BATON_SOURCE_DIR"], "tests", "goldens", "model", "tiny-llama.gguf")


def model_path():
    """The default model, or a tiny one of random weights where there is none or where sanitizers make it too slow."""
    return TINY_MODEL if SANITIZED else os.environ.get("BATON_TEST_MODEL") or TINY_MODEL


def wait_for(condition, what, seconds=60):
    """Until condition() gives something true, which is returned."""
    deadline = time.monotonic() + seconds
    while True:
        result = condition()
        if result:
            return result
        if time.monotonic() > deadline:
            raise TimeoutError(f"waited {seconds} s for {what}")
        time.sleep(0.05)


def process_lives(pid):
    try:
        with open(f"/proc/{pid}/stat") as file:
            return file.read().rsplit(")", 1)[1].split()[0] != "Z"
    except OSError:
        return False


class LocalCluster:
    def __init__(self, *options):
        self.state = tempfile.mkdtemp(prefix="baton-e2e-")
        self.environment = dict(os.environ, XDG_STATE_HOME=self.state)
        os.environ.update(no_proxy="127.0.0.1,localhost", NO_PROXY="127.0.0.1,localhost")
        up = self.ctl("up", "--model", model_path(), "--port", "0", "--detach", *options)
        if up.returncode != 0:
            logs = self.ctl("logs", "-n", "30").stdout
            self.close()
            raise RuntimeError(f"baton-ctl up failed:\n{up.stdout}{up.stderr}\n{logs}")
        self.address = next(p["http"] for p in self.processes() if p["role"] == "router")
        self.url = f"http://{self.address}"
        self.model = json.loads(self.get("/v1/models"))["data"][0]["id"]

    def ctl(self, *words, timeout=400):
        return subprocess.run([os.path.join(os.environ["BATON_BIN_DIR"], "baton-ctl"), *words], env=self.environment, text=True,
                              stdin=subprocess.DEVNULL, stdout=subprocess.PIPE, stderr=subprocess.PIPE, timeout=timeout, check=False)

    def close(self):
        self.ctl("down", "--grace", "5")
        left = os.listdir(self.state)
        shutil.rmtree(self.state, ignore_errors=True)
        return left

    def processes(self):
        return json.loads(self.ctl("status", "--json").stdout)["cluster"]["processes"]

    def process(self, name):
        return next(process for process in self.processes() if process["name"] == name)

    def get(self, path, address=None):
        with urllib.request.urlopen(f"http://{address or self.address}{path}", timeout=30) as response:
            return response.read()

    def post(self, path, body, timeout=300):
        """(status, JSON or text) of one request; `body` is an object or raw bytes."""
        connection = http.client.HTTPConnection(self.address, timeout=timeout)
        try:
            data = body if isinstance(body, bytes) else json.dumps(body).encode()
            connection.request("POST", path, data, {"Content-Type": "application/json"})
            response = connection.getresponse()
            text = response.read()
            return response.status, json.loads(text)
        finally:
            connection.close()

    def open_stream(self, path, body, timeout=300):
        """An open connection and its streaming response; close the connection to cancel."""
        connection = http.client.HTTPConnection(self.address, timeout=timeout)
        connection.request("POST", path, json.dumps(dict(body, stream=True)), {"Content-Type": "application/json"})
        response = connection.getresponse()
        if response.status != 200:
            raise RuntimeError(f"HTTP {response.status}: {response.read()[:300]!r}")
        return connection, response

    def metrics(self, address):
        """{name{labels}: value}"""
        samples = {}
        for line in self.get("/metrics", address).decode().splitlines():
            match = re.match(r"^([a-zA-Z_:][^ {]*(?:\{.*\})?) (\S+)$", line)
            if match and not line.startswith("#"):
                samples[match.group(1)] = float(match.group(2))
        return samples

    def pages(self):
        """{(worker, rank): {class: count}} as the workers themselves export it."""
        found = {}
        for process in self.processes():
            if process["role"] == "router" or not process["http"]:
                continue
            for name, value in self.metrics(process["http"]).items():
                if name.startswith("baton_pages{"):
                    labels = dict(re.findall(r'(\w+)="([^"]*)"', name))
                    found.setdefault((process["name"], labels["rank"]), {})[labels["class"]] = int(value)
        return found

    def idle(self):
        """True if on every rank all pages are free or cached."""
        return all(sum(pages.values()) == pages["free"] + pages["cached"] for pages in self.pages().values())

    def status_workers(self):
        return json.loads(self.get("/baton/status"))["workers"]

    def healthy_workers(self):
        return sum(bool(worker["healthy"]) for worker in self.status_workers())


def events(response):
    """The JSON events of a streaming response; ends at [DONE] or when the server closes."""
    for line in response:
        if line.startswith(b"data: "):
            data = line[6:].strip()
            if data == b"[DONE]":
                return
            yield json.loads(data)
