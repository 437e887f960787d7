#!/usr/bin/env python3
"""Mixed load with cancels and disconnects: memory must stay flat and every KV page must come home.

mixed_load.py [--minutes 30] [--concurrency 8] [--json FILE]      (starts a cluster of its own)

Each client sends chats and completions, short and long, streamed or not; some stop reading, some disconnect. Every few seconds the
pages of each rank are summed: the sum must not change. Exits 1 if it does, if a request fails, if pages are missing at the end, or if
a process grew by more than 5% (and 16 MiB) between the second quarter of the run and its last one.
"""

import argparse
import json
import random
import statistics
import sys
import threading
import time

from local_cluster import LocalCluster, events, wait_for

WORDS = "relay runner baton race lap track start finish wind rain crowd medal coach spike lane".split()


class Load:
    def __init__(self, cluster, seed):
        self.cluster, self.seed = cluster, seed
        self.stop = threading.Event()
        self.lock = threading.Lock()
        self.counts = {"finished": 0, "cancelled": 0, "refused": 0, "failed": 0}
        self.failures = []

    def count(self, kind, detail=None):
        with self.lock:
            self.counts[kind] += 1
            if detail:
                self.failures.append(detail)

    def client(self, index):
        rng = random.Random(self.seed * 1000 + index)
        while not self.stop.is_set():
            try:
                self.one_request(rng)
            except Exception as error:  # any surprise is a finding, and the other clients go on
                self.count("failed", f"{type(error).__name__}: {error}")

    def one_request(self, rng):
        text = " ".join(rng.choices(WORDS, k=rng.choice([5, 20, 80, 300])))
        body = {"model": self.cluster.model, "max_tokens": rng.choice([4, 16, 64, 128]), "ignore_eos": rng.random() < 0.5,
                "temperature": rng.choice([0, 0.8, 1.2]), "seed": rng.randrange(2**31)}
        chat = rng.random() < 0.5
        path = "/v1/chat/completions" if chat else "/v1/completions"
        body.update({"messages": [{"role": "user", "content": text}]} if chat else {"prompt": text})
        if rng.random() < 0.3:
            status, answer = self.cluster.post(path, body)
            return self.finish(status, answer)
        connection, response = self.cluster.open_stream(path, body)
        leave_after = rng.choice([None, None, 0, 1, 5])
        try:
            for number, event in enumerate(events(response)):
                if "error" in event:
                    return self.count("failed", str(event["error"]))
                if leave_after is not None and number >= leave_after:
                    return self.count("cancelled")
        finally:
            connection.close()
        return self.count("finished")

    def finish(self, status, answer):
        if status == 200:
            self.count("finished")
        elif status == 429:
            self.count("refused")
        else:
            self.count("failed", f"HTTP {status}: {answer}")


def resident_mib(pid):
    with open(f"/proc/{pid}/status") as file:
        return next(int(line.split()[1]) for line in file if line.startswith("VmRSS:")) / 1024


def grew(samples):
    """(from, to) if the memory of a process grew: medians of the second and the last quarter."""
    quarter = max(1, len(samples) // 4)
    early, late = statistics.median(samples[quarter:2 * quarter] or samples), statistics.median(samples[-quarter:])
    return early, late, late > early * 1.05 and late > early + 16


def run(cluster, minutes, concurrency, seed=1, interval=2.0):
    """Loads the cluster; returns (report, problems)."""
    load = Load(cluster, seed)
    totals = {rank: sum(pages.values()) for rank, pages in cluster.pages().items()}
    pids = {process["name"]: process["id"]["pid"] for process in cluster.processes()}
    memory = {name: [] for name in pids}
    problems, checks = [], 0
    clients = [threading.Thread(target=load.client, args=(index,)) for index in range(concurrency)]
    for client in clients:
        client.start()
    deadline = time.monotonic() + minutes * 60
    try:
        while time.monotonic() < deadline:
            load.stop.wait(interval)
            for name, pid in pids.items():
                memory[name].append(resident_mib(pid))
            for rank, pages in cluster.pages().items():
                checks += 1
                if sum(pages.values()) != totals[rank]:
                    problems.append(f"pages of {rank} sum to {sum(pages.values())}, not {totals[rank]}: {pages}")
    finally:
        load.stop.set()
        for client in clients:
            client.join()
    try:
        wait_for(cluster.idle, "all pages to come home", seconds=60)
    except TimeoutError:
        problems.append(f"pages missing at the end: {cluster.pages()}")
    rows = {}
    for name, samples in memory.items():
        early, late, bad = grew(samples)
        rows[name] = {"rss_mib_early": round(early, 1), "rss_mib_late": round(late, 1), "rss_mib_most": round(max(samples), 1)}
        if bad:
            problems.append(f"{name} grew from {early:.0f} to {late:.0f} MiB")
    problems += load.failures[:20]
    restarts = sum(process["restarts"] for process in cluster.processes())
    if restarts:
        problems.append(f"{restarts} restarts")
    return {"requests": load.counts, "page_checks": checks, "memory": rows}, problems


def main():
    parser = argparse.ArgumentParser(description=__doc__.split("\n\n")[0])
    parser.add_argument("--minutes", type=float, default=30)
    parser.add_argument("--concurrency", type=int, default=8)
    parser.add_argument("--seed", type=int, default=1)
    parser.add_argument("--json")
    args = parser.parse_args()
    cluster = LocalCluster()
    try:
        report, problems = run(cluster, args.minutes, args.concurrency, args.seed)
    finally:
        cluster.close()
    print(f"{'process':<12} {'RSS early':>10} {'late':>8} {'most':>8}  (MiB)")
    for name, row in report["memory"].items():
        print(f"{name:<12} {row['rss_mib_early']:>10} {row['rss_mib_late']:>8} {row['rss_mib_most']:>8}")
    print(f"requests: {report['requests']}; page sums checked: {report['page_checks']}")
    for problem in problems:
        print(f"PROBLEM: {problem}")
    if args.json:
        with open(args.json, "w") as file:
            json.dump({"report": report, "problems": problems}, file, indent=1)
    sys.exit(1 if problems else 0)


if __name__ == "__main__":
    main()
