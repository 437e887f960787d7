#!/usr/bin/env python3
"""What a router adds to a stream: time to the first token, and CPU seconds per 100,000 tokens. baton-router over fake
workers (gRPC), and beside it, in the same run, nginx where it is installed and every --peer over a fake OpenAI endpoint
with the same schedule.

A peer is NAME=COMMAND in which {backend} is the endpoint's URL and {port} the port to serve on. It must end on SIGTERM.
"""

import argparse
import json
import os
import shlex
import shutil
import signal
import socket
import subprocess
import sys
import tempfile
import time
import urllib.request

NGINX = """daemon off; pid {dir}/pid; error_log {dir}/error.log; worker_processes 2;
events {{ worker_connections 1024; }}
http {{ access_log off; client_body_temp_path {dir}; proxy_temp_path {dir}; fastcgi_temp_path {dir};
  uwsgi_temp_path {dir}; scgi_temp_path {dir};
  server {{ listen 127.0.0.1:{port};
    location / {{ proxy_pass {backend}; proxy_http_version 1.1; proxy_buffering off; }} }} }}
"""


def free_port():
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        return probe.getsockname()[1]


class Process:
    """A process group; its standard error goes to a file."""

    def __init__(self, command, directory, name):
        self.log = open(os.path.join(directory, f"{name}.log"), "wb")
        self.name = name
        self.popen = subprocess.Popen(command, stdout=subprocess.PIPE, stderr=self.log, start_new_session=True)

    def line(self):
        return self.popen.stdout.readline().decode().strip()

    def cpu_seconds(self):
        ticks = 0
        for pid in filter(str.isdigit, os.listdir("/proc")):
            try:
                with open(f"/proc/{pid}/stat") as file:
                    fields = file.read().rpartition(")")[2].split()
            except OSError:
                continue
            if int(fields[2]) == self.popen.pid:
                ticks += int(fields[11]) + int(fields[12])
        return ticks / os.sysconf("SC_CLK_TCK")

    def stop(self):
        self.popen.send_signal(signal.SIGTERM)
        try:
            self.popen.wait(10)
        except subprocess.TimeoutExpired:
            os.killpg(self.popen.pid, signal.SIGKILL)
            self.popen.wait()
        self.popen.stdout.close()
        self.log.close()


def wait_until_served(url, process):
    deadline = time.monotonic() + 60
    while time.monotonic() < deadline and process.popen.poll() is None:
        try:
            urllib.request.urlopen(url + "/v1/models", timeout=2).read()
            return
        except OSError:
            time.sleep(0.1)
    raise RuntimeError(f"{process.name} does not serve {url}")


def load(args, url, model, seconds, directory):
    """The run record's figures of `--streams` streams at once."""
    life = args.ttft_ms / 1000 + (args.tokens - 1) * args.itl_ms / 1000
    out = os.path.join(directory, "load.json")
    subprocess.run([os.path.join(args.bin, "baton-bench-serve"), "--url", url, "--api", "completions", "--model", model,
                    "--rate", f"{args.streams / life:.3f}", "--arrivals", "constant", "--duration", f"{seconds}s",
                    "--warmup", "0s", "--prompt_tokens", "32", "--answer_tokens", str(args.tokens), "--json", out],
                   stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL, check=False, timeout=seconds + 120)
    with open(out) as file:
        summary = json.load(file)["runs"][0]["summary"]
    os.remove(out)
    return summary


def measure(args, name, url, model, process, directory):
    wait_until_served(url, process)
    load(args, url, model, 2, directory)
    print(f"{name}: {args.streams} streams for {args.seconds} s", file=sys.stderr)
    before = process.cpu_seconds()
    summary = load(args, url, model, args.seconds, directory)
    used = process.cpu_seconds() - before
    if not summary["completed"] or summary["completed"] < summary["requests"]:
        raise RuntimeError(f"{name}: {summary['completed']} of {summary['requests']} requests completed")
    tokens = summary["completed"] * args.tokens
    return {"ttft_p50": summary["ttft_ms"]["p50"], "ttft_p99": summary["ttft_ms"].get("p99"),
            "tokens_per_s": summary["output_tokens_per_s"], "cpu_per_100k": used * 1e5 / tokens}


def measure_baton(args, directory):
    pace = ["--ttft", f"{args.ttft_ms}ms", "--itl", f"{args.itl_ms}ms"]
    worker = Process([os.path.join(args.bin, "fake_worker"), *pace], directory, "fake_worker")
    port = free_port()
    router = Process([args.router or os.path.join(args.bin, "baton-router"), "--model", args.model, "--model_name", "fake",
                      "--listen", f"127.0.0.1:{port}", "--worker", worker.line(), "--conditional_prefill_tokens",
                      "1000000", "--log_level", "warn"], directory, "baton-router")
    try:
        return measure(args, "baton", f"http://127.0.0.1:{port}", "fake", router, directory)
    finally:
        router.stop()
        worker.stop()


def measure_peer(args, name, template, backend, directory):
    port = free_port()
    command = [part.format(backend=backend, port=port) for part in shlex.split(template)]
    if name == "nginx":
        conf = os.path.join(directory, "nginx.conf")
        with open(conf, "w") as file:
            file.write(NGINX.format(dir=directory, port=port, backend=backend))
        command = [template, "-c", conf, "-e", os.path.join(directory, "error.log")]
    process = Process(command, directory, name)
    try:
        return measure(args, name, f"http://127.0.0.1:{port}", "fake", process, directory)
    finally:
        process.stop()


def measure_all(args, directory):
    fake = Process([os.path.join(args.bin, "fake_endpoint"), "--ttft", f"{args.ttft_ms}ms", "--itl",
                    f"{args.itl_ms}ms"], directory, "fake_endpoint")
    try:
        backend = fake.line()
        found = {"direct": measure(args, "direct", backend, "fake", fake, directory),
                 "baton": measure_baton(args, directory)}
        peers = dict(peer.split("=", 1) for peer in args.peer)
        nginx = shutil.which("nginx") or shutil.which("/usr/sbin/nginx")
        if nginx:
            peers["nginx"] = nginx
        for name, template in peers.items():
            try:
                found[name] = measure_peer(args, name, template, backend, directory)
            except RuntimeError as error:
                print(f"left out: {error}", file=sys.stderr)
        return found
    finally:
        fake.stop()


def rows_of(found, args):
    rows, baton, direct = [], found["baton"], found["direct"]
    units = {"cpu_per_100k": ("CPU seconds per 100k tokens", "s"), "tokens_per_s": ("tokens/s", "tokens/s"),
             "ttft_p50": ("added TTFT p50", "ms"), "ttft_p99": ("added TTFT p99", "ms")}
    for name in [name for name in found if name not in ("baton", "direct")] or [None]:
        for key, (title, unit) in units.items():
            value, peer = baton[key], found[name][key] if name else None
            if value is None or key.startswith("ttft") and direct[key] is None:
                continue
            if key.startswith("ttft"):
                value, peer = value - direct[key], peer - direct[key] if peer is not None else None
            row = {"name": f"{args.streams} streams: {title}", "value": value, "unit": unit}
            if peer is not None:
                row.update(peer=name, peer_value=peer)
                if min(value, peer) > 0:
                    row["ratio"] = value / peer if key == "tokens_per_s" else peer / value
            if key == "cpu_per_100k" and name:
                row["target"] = 0.5 if name == "nginx" else 3
            rows.append(row)
    return rows


def main():
    parser = argparse.ArgumentParser(prog="./baton bench router", description=__doc__,
                                     formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--bin", required=True, help="folder of the built programs (./baton bench router sets it)")
    parser.add_argument("--commit", default="unknown", help="recorded")
    parser.add_argument("--router", help="another baton-router than the folder's")
    parser.add_argument("--model", default=os.path.expanduser("~/.cache/baton/models/smollm2-135m-instruct.gguf"),
                        help="GGUF file of which the router reads the tokenizer")
    parser.add_argument("--peer", action="append", default=[], metavar="NAME=COMMAND")
    parser.add_argument("--streams", type=int, default=64, help="at once")
    parser.add_argument("--tokens", type=int, default=200, help="of each stream")
    parser.add_argument("--ttft_ms", type=int, default=50, help="of the fake workers")
    parser.add_argument("--itl_ms", type=int, default=10, help="of the fake workers")
    parser.add_argument("--quick", action="store_true", help="10 s each, too few for a p99")
    parser.add_argument("--json", help="write the figures here")
    args = parser.parse_args()
    args.seconds = 10 if args.quick else 40
    with tempfile.TemporaryDirectory(prefix="baton-bench-router-") as directory:
        found = measure_all(args, directory)
    with open("/proc/cpuinfo") as file:
        model = next((line.split(":", 1)[1].strip() for line in file if line.startswith("model name")), "unknown")
    record = {"machine": f"{model}, {os.cpu_count()} cores", "commit": args.commit, "rows": rows_of(found, args),
              "load_average": os.getloadavg(), "measured": found}
    for row in record["rows"]:
        print(f"{row['name']:48} {row['value']:9.2f} {row['unit']:9} {row.get('peer', ''):14}"
              f" {row.get('peer_value', float('nan')):9.2f}  ratio {row.get('ratio', float('nan')):.2f}")
    if args.json:
        with open(args.json, "w") as file:
            json.dump(record, file, indent=1)


if __name__ == "__main__":
    main()
