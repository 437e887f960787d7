#!/usr/bin/env python3
"""Time to first token of a long prompt after its engine was restarted: computed again, from the pool's memory, and from
its disk (the pool restarted too); and what the cost model had guessed. Every answer's tokens are compared.

Writes one object in the form of `baton bench` (--json FILE).
"""

import argparse
import json
import os
import platform
import random
import statistics
import subprocess
import sys
import tempfile

sys.path.insert(0, os.path.join(os.path.dirname(os.path.abspath(__file__)), "../../tests/e2e"))
from pool_cluster import PoolCluster  # noqa: E402


def machine():
    with open("/proc/cpuinfo") as file:
        names = [line.split(":", 1)[1].strip() for line in file if line.startswith("model name")]
    return f"{names[0] if names else platform.machine()}, {os.cpu_count()} cores"


def commit():
    here = os.path.dirname(os.path.abspath(__file__))
    found = subprocess.run(["git", "-C", here, "rev-parse", "--short", "HEAD"], capture_output=True, text=True)
    return found.stdout.strip() or "unknown"


def run_prompts(cluster, prompts, args, label, results, tokens):
    """Each prompt once, after one of other tokens (the engine is measured, and warm); seconds to the first token into
    results[label]."""
    results[label] = []
    rng = random.Random(label)
    cluster.complete([rng.randrange(args.vocab) for _ in range(args.warm_up)], 1)
    for index, prompt in enumerate(prompts):
        print(f"{label}: prompt {index + 1} of {len(prompts)}", file=sys.stderr)
        answer, seconds = cluster.complete(prompt, args.answer)
        results[label].append(seconds)
        if tokens.setdefault(index, answer) != answer:
            raise SystemExit(f"{label}: prompt {index} was answered with other tokens")


def guesses(samples):
    moves = samples.get('baton_kv_pool_decisions_total{decision="fetched"}', 0)
    each = lambda name: samples.get(name, 0) / max(1, moves)
    return {"moves": moves,
            "guess_move": each('baton_kv_pool_guess_seconds_total{of="move"}'),
            "guess_compute": each('baton_kv_pool_guess_seconds_total{of="compute"}'),
            "move": each("baton_kv_pool_move_seconds_total"),
            "regret": samples.get('baton_kv_pool_regret_seconds_total{decision="fetched"}', 0)}


def measure(args, state):
    rng = random.Random(args.seed)
    prompts = [[rng.randrange(args.vocab) for _ in range(args.tokens)] for _ in range(args.prompts)]
    blocks = args.prompts * (args.tokens // 16)
    pool_flags = [f"--memory_mb={args.memory_mb}", f"--disk_mb={2 * args.memory_mb}", f"--disk_dir={state}/disk"]
    worker_flags = [f"--threads={args.threads}", "--kv_memory_mb=1024"]
    results, tokens, guessed = {}, {}, {}
    with PoolCluster(args.bin_dir, args.model, state, worker_flags, pool_flags) as cluster:
        cluster.start_workers(pool=False)
        run_prompts(cluster, prompts, args, "no pool", results, tokens)
        cluster.stop_workers()
        cluster.start_pool()
        cluster.start_workers(pool=True)
        run_prompts(cluster, prompts, args, "empty pool", results, tokens)
        cluster.wait_stored(blocks)
        for label, restart_pool in (("pool, memory", False), ("pool, disk", True)):
            cluster.stop_workers()
            if restart_pool:
                cluster.stop("kv")
                cluster.start_pool()
            cluster.start_workers(pool=True)
            run_prompts(cluster, prompts, args, label, results, tokens)
            guessed[label] = guesses(cluster.metrics("prefill"))
        cluster.stop_workers()
    return results, guessed


def rows(args, results, guessed):
    peer = statistics.median(results["no pool"])
    out = []
    for label, seconds in results.items():
        value = statistics.median(seconds)
        out.append({"name": f"{label}: first token of {args.tokens} tokens after a restart, median of {args.prompts}",
                    "value": round(value, 4), "unit": "s", "peer": "the same without a pool",
                    "peer_value": round(peer, 4), "ratio": round(peer / value, 2), "target": 1})
    for label, guess in guessed.items():
        out.append({"name": f"{label}: the cost model's guess of a move, mean of {guess['moves']:.0f}",
                    "value": round(guess["guess_move"], 4), "unit": "s", "peer": "measured",
                    "peer_value": round(guess["move"], 4),
                    "ratio": round(guess["move"] / max(1e-9, guess["guess_move"]), 2), "target": 1})
        out.append({"name": f"{label}: the cost model's guess of computing instead, mean",
                    "value": round(guess["guess_compute"], 4), "unit": "s", "peer": "measured without a pool",
                    "peer_value": round(peer, 4), "ratio": round(peer / max(1e-9, guess["guess_compute"]), 2), "target": 1})
        out.append({"name": f"{label}: regret of moves, all", "value": round(guess["regret"], 4), "unit": "s", "target": 0})
    return out


def main():
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--bin-dir", required=True, help="where baton-kv, baton-prefill, baton-decode and baton-router are")
    parser.add_argument("--model", required=True, help="a GGUF file")
    parser.add_argument("--tokens", type=int, default=4096)
    parser.add_argument("--prompts", type=int, default=4)
    parser.add_argument("--answer", type=int, default=8, help="tokens of each answer")
    parser.add_argument("--warm-up", type=int, default=600, help="tokens of a prompt before each run")
    parser.add_argument("--vocab", type=int, default=40000)
    parser.add_argument("--threads", type=int, default=2)
    parser.add_argument("--memory-mb", type=int, default=1024)
    parser.add_argument("--seed", type=int, default=1)
    parser.add_argument("--quick", action="store_true", help="two prompts")
    parser.add_argument("--json", help="the file to write")
    args = parser.parse_args()
    if args.quick:
        args.prompts = 2
    with tempfile.TemporaryDirectory() as state:
        results, guessed = measure(args, state)
    report = {"machine": machine(), "commit": commit(), "rows": rows(args, results, guessed)}
    text = json.dumps(report, indent=1)
    print(text)
    if args.json:
        with open(args.json, "w") as file:
            file.write(text + "\n")


if __name__ == "__main__":
    main()
