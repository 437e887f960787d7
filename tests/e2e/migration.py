#!/usr/bin/env python3
"""Streams moved back and forth between two decode workers while they decode: the same tokens, and what each move costs.

Sends `--sequences` requests, `--concurrency` at a time, first unmoved, then with `--moves` moves each (POST /baton/migrate,
to the other worker every time). Compares the tokens one by one, sums up the gaps between tokens around each move beside those
without, and how the moves' handoffs ended. Starts a cluster of its own. Exits 1 if a token differs, a move or a request
fails, pages do not come home, or fewer than `--want-held` of the handoffs were held.
"""

import argparse
import concurrent.futures
import http.client
import json
import os
import platform
import random
import subprocess
import sys
import tempfile
import threading
import time

from split_cluster import Cluster, read_metrics, stream_token_ids

SHORTEST_PROMPT = 48  # the i-th request has SHORTEST_PROMPT + i tokens: that is how its stream is found


def post(port, path, body):
    connection = http.client.HTTPConnection("127.0.0.1", port, timeout=60)
    try:
        connection.request("POST", path, json.dumps(body), {"Content-Type": "application/json"})
        response = connection.getresponse()
        return response.status, json.loads(response.read())
    finally:
        connection.close()


def get(port, path):
    connection = http.client.HTTPConnection("127.0.0.1", port, timeout=60)
    try:
        connection.request("GET", path)
        return json.loads(connection.getresponse().read())
    finally:
        connection.close()


def make_requests(rng, count, vocab, tokens):
    requests = []
    for index in range(count):
        sampled = rng.random() < 0.5
        requests.append({
            "prompt": [rng.randrange(vocab) for _ in range(SHORTEST_PROMPT + index)], "max_tokens": tokens,
            "temperature": 1.0 if sampled else 0, "top_p": 0.95 if sampled else 1.0, "seed": rng.randrange(2**31),
            "frequency_penalty": rng.choice([0, 0.5])})
    return requests


class Stream:
    """One request as its client sees it: each token and when it came."""

    def __init__(self, port, request):
        self.port, self.request = port, request
        self.tokens, self.times = [], []
        self.over = False
        self.changed = threading.Condition()

    def read(self):
        try:
            for tokens in stream_token_ids(self.port, self.request):
                self.take(tokens)
        finally:
            with self.changed:
                self.over = True
                self.changed.notify_all()
        return self.tokens

    def take(self, tokens):
        with self.changed:
            self.tokens += tokens
            self.times += [time.monotonic()] * len(tokens)
            self.changed.notify_all()

    def wait_for_tokens(self, count):
        with self.changed:
            self.changed.wait_for(lambda: self.over or len(self.tokens) >= count, 120)
            return not self.over

    def gaps(self):
        return [after - before for before, after in zip(self.times, self.times[1:])]


class Mover:
    """Moves one stream to the other worker again and again; notes when each move began and ended."""

    def __init__(self, stream, moves, spacing, workers):
        self.stream, self.moves, self.spacing, self.workers = stream, moves, spacing, workers
        self.done, self.failures = [], []

    def find(self):
        length = len(self.stream.request["prompt"])
        for entry in get(self.stream.port, "/baton/streams")["streams"]:
            if entry["prompt_tokens"] == length:
                return entry
        return None

    def run(self):
        for number in range(self.moves):
            if not self.stream.wait_for_tokens(3 + number * self.spacing):
                break
            entry = self.find()
            if entry is None:
                break
            target = next(name for name in self.workers if name != entry["worker"])
            begun = time.monotonic()
            status, answer = post(self.stream.port, "/baton/migrate", {"stream": entry["id"], "to": target})
            if status == 200:
                self.done.append((begun, time.monotonic()))
            else:
                self.failures.append(f"HTTP {status}: {answer}")
        return self

    def gaps(self):
        """The longest wait for a token around each move: from its beginning to the second token after its end."""
        times, longest = self.stream.times, []
        for begun, ended in self.done:
            after = [time for time in times if time > ended][:2]
            near = [time for time in times if begun <= time <= ended]
            before = [time for time in times if time < begun][-1:]
            around = before + near + after
            longest.append(max((b - a for a, b in zip(around, around[1:])), default=0))
        return longest


def percentile(values, share):
    ordered = sorted(values)
    return ordered[min(len(ordered) - 1, int(share * len(ordered)))] if ordered else 0


def run_unmoved(port, requests, concurrency):
    streams = [Stream(port, request) for request in requests]
    with concurrent.futures.ThreadPoolExecutor(concurrency) as pool:
        list(pool.map(Stream.read, streams))
    return streams


def run_moved(port, requests, args, workers):
    movers = [Mover(Stream(port, request), args.moves, args.spacing, workers) for request in requests]

    def one(mover):
        thread = threading.Thread(target=mover.run)
        thread.start()
        try:
            mover.stream.read()
        finally:
            thread.join()

    with concurrent.futures.ThreadPoolExecutor(args.concurrency) as pool:
        for number, future in enumerate(concurrent.futures.as_completed([pool.submit(one, mover) for mover in movers]), 1):
            future.result()
            if number % 20 == 0:
                print(f"{number} of {len(movers)} streams moved", file=sys.stderr)
    return movers


def router_counts(cluster):
    found = {}
    for sample, value in read_metrics(cluster._address("router")["http"]).items():
        if sample.startswith("baton_router_migration"):
            found[sample] = int(value)
    return found


def measure(args, state):
    rng = random.Random(args.seed)
    requests = make_requests(rng, args.sequences, args.vocab, args.tokens)
    problems = []
    slow_clients = ["--emission_buffer=4096"]  # the tiny model outruns this program on a busy machine
    with Cluster(args, state, prefills=1, decodes=2, pages=args.pages, rng=rng, worker_flags=slow_clients) as cluster:
        unmoved = run_unmoved(cluster.port, requests, args.concurrency)
        movers = run_moved(cluster.port, requests, args, ["decode0", "decode1"])
        cluster.wait_idle()
        counts = router_counts(cluster)
    differing = sum(stream.tokens != mover.stream.tokens for stream, mover in zip(unmoved, movers))
    if differing:
        problems.append(f"{differing} streams differ from the unmoved ones")
    failures = [failure for mover in movers for failure in mover.failures]
    moves = sum(len(mover.done) for mover in movers)
    problems += failures[:10]
    if moves < args.sequences * args.moves:
        problems.append(f"{moves} moves of {args.sequences * args.moves}")
    held = counts.get('baton_router_migration_fetches_total{outcome="held"}', 0)
    lost = counts.get('baton_router_migration_fetches_total{outcome="lost"}', 0)
    share = held / max(1, held + lost)
    if share < args.want_held:
        problems.append(f"{share:.4f} of the handoffs held")
    plain = [gap for stream in unmoved for gap in stream.gaps()]
    moved = [gap for mover in movers for gap in mover.gaps()]
    took = [ended - begun for mover in movers for begun, ended in mover.done]

    def in_ms(values):
        return {"p50_ms": round(percentile(values, 0.5) * 1e3, 2), "p99_ms": round(percentile(values, 0.99) * 1e3, 2)}

    return {"sequences": args.sequences, "moves": moves, "tokens": sum(len(s.tokens) for s in unmoved), "differing": differing,
            "failed_moves": len(failures), "handoffs_held": held, "handoffs_lost": lost, "held_share": round(share, 4),
            "itl_without_moves": in_ms(plain), "longest_gap_at_a_move": in_ms(moved), "move_took": in_ms(took)}, problems


def machine():
    with open("/proc/cpuinfo") as file:
        names = [line.split(":", 1)[1].strip() for line in file if line.startswith("model name")]
    return f"{names[0] if names else platform.machine()}, {os.cpu_count()} cores"


def commit():
    run = subprocess.run(["git", "-C", os.path.dirname(os.path.abspath(__file__)), "rev-parse", "--short", "HEAD"],
                         stdout=subprocess.PIPE, text=True, check=False)
    return run.stdout.strip()


def rows(report):
    """Gaps beside those of the same streams unmoved, in the same run; counts beside what they must be."""
    found = []

    def add(name, value, unit, peer, peer_value, ratio, target=None):
        found.append({"name": name, "value": value, "unit": unit, "peer": peer, "peer_value": peer_value,
                      "ratio": round(ratio, 4), "target": target})

    moves = report["moves"]
    add("streams with the tokens of the unmoved ones", report["sequences"] - report["differing"], "", "streams", report["sequences"],
        1 - report["differing"] / report["sequences"], 1)
    add("moves done", moves, "", "asked for", moves + report["failed_moves"], moves / max(1, moves + report["failed_moves"]), 1)
    handoffs = report["handoffs_held"] + report["handoffs_lost"]
    add("handoffs of moves held", report["handoffs_held"], "", "handoffs", handoffs, report["held_share"], 0.99)
    for share in ("p50_ms", "p99_ms"):
        plain, moved = report["itl_without_moves"][share], report["longest_gap_at_a_move"][share]
        add(f"longest gap at a move, {share[:3]}", moved, "ms", f"ITL without moves, {share[:3]}", plain, plain / max(moved, 1e-6))
        took = report["move_took"][share]
        add(f"request to switch, {share[:3]}", took, "ms", f"ITL without moves, {share[:3]}", plain, plain / max(took, 1e-6))
    return found


def main():
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--bin-dir", required=True)
    parser.add_argument("--model", required=True)
    parser.add_argument("--vocab", type=int, required=True, help="token ids below it are sent")
    parser.add_argument("--sequences", type=int, default=200)
    parser.add_argument("--moves", type=int, default=10, help="of each sequence: 10 is back and forth 5 times")
    parser.add_argument("--tokens", type=int, default=2000, help="of each answer")
    parser.add_argument("--spacing", type=int, default=20, help="tokens between two moves at least")
    parser.add_argument("--concurrency", type=int, default=4)
    parser.add_argument("--pages", type=int, default=2048)
    parser.add_argument("--threads", type=int, default=1)
    parser.add_argument("--want-held", type=float, default=0.99)
    parser.add_argument("--seed", type=int, default=1)
    parser.add_argument("--json")
    args = parser.parse_args()
    with tempfile.TemporaryDirectory(prefix="baton-migration-") as folder:
        report, problems = measure(args, f"{folder}/cluster")
    report["problems"] = problems
    text = json.dumps(report, indent=1)
    print(text)
    if args.json:
        with open(args.json, "w") as file:
            json.dump({"machine": machine(), "commit": commit(), "rows": rows(report), "report": report}, file, indent=1)
            file.write("\n")
    sys.exit(1 if problems else 0)


if __name__ == "__main__":
    main()
