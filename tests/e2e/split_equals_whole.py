#!/usr/bin/env python3
"""Split equals whole: the same requests through prefill + decode workers and through one colocated engine.

Sends `--requests` requests (prompts of 64 to 1,500 tokens that often share prefixes, greedy and seeded sampling, EOS
ignored, some cancelled by the client on the way), `--concurrency` at a time, first to a single decode worker that computes
everything itself, then to a split cluster whose page pools are small enough to preempt. The cluster is restarted every
`--per-round` requests with other chunk budgets. Compares the tokens one by one; a cancelled stream must be a prefix.

Prints a JSON report; exits 1 if a token differs, a request fails, or the wanted preemptions, prefix hits and share of
handoffs held were not reached.
"""

import argparse
import concurrent.futures
import json
import math
import random
import sys
import tempfile
import time

from split_cluster import Cluster, stream_completion


def make_requests(rng, count, vocab, max_prompt, min_out, max_out):
    """Prompts log-uniform in length; two in five begin like an earlier one."""
    families = [[rng.randrange(vocab) for _ in range(max_prompt)] for _ in range(max(4, count // 25))]
    requests = []
    for index in range(count):
        length = int(round(math.exp(rng.uniform(math.log(64), math.log(max_prompt)))))
        if rng.random() < 0.4:
            shared = rng.randrange(16, length + 1)
            prompt = rng.choice(families)[:shared]
        else:
            prompt = []
        prompt = prompt + [rng.randrange(vocab) for _ in range(length - len(prompt))]
        sampled = rng.random() < 0.5
        requests.append({
            "prompt": prompt,
            "max_tokens": rng.randrange(min_out, max_out + 1),
            "temperature": rng.choice([0.7, 1.0, 1.3]) if sampled else 0,
            "top_p": rng.choice([1.0, 0.95]) if sampled else 1.0,
            "top_k": rng.choice([0, 40]) if sampled else 0,
            "frequency_penalty": rng.choice([0, 0.5]),
            "seed": rng.randrange(2**31),
            "cancel_after": rng.randrange(1, min_out) if rng.random() < 0.08 else None,
        })
    return requests


def run_all(port, requests, concurrency, label):
    """Tokens of every request, in order; an exception in place of a failed one."""
    results = [None] * len(requests)
    started = time.monotonic()
    with concurrent.futures.ThreadPoolExecutor(concurrency) as pool:
        futures = {pool.submit(stream_completion, port, request): i for i, request in enumerate(requests)}
        for done, future in enumerate(concurrent.futures.as_completed(futures), 1):
            index = futures[future]
            results[index] = future.exception() or future.result()
            if done % 25 == 0 or done == len(requests):
                print(f"{label}: {done}/{len(requests)} in {time.monotonic() - started:.0f} s", file=sys.stderr, flush=True)
    return results


def compare(requests, whole, split):
    """The problems found, in words."""
    problems = []
    for index, request in enumerate(requests):
        a, b = whole[index], split[index]
        for name, result in (("whole", a), ("split", b)):
            if isinstance(result, BaseException):
                problems.append(f"request {index}: {name} failed: {result!r}")
        if isinstance(a, BaseException) or isinstance(b, BaseException):
            continue
        shared = min(len(a), len(b)) if request["cancel_after"] is not None else max(len(a), len(b))
        if a[:shared] != b[:shared] or shared == 0:
            first = next((i for i, (x, y) in enumerate(zip(a, b)) if x != y), min(len(a), len(b)))
            problems.append(f"request {index}: differs at generated token {first} "
                            f"(prompt {len(request['prompt'])}, lengths {len(a)} and {len(b)})")
        elif request["cancel_after"] is None and len(a) != request["max_tokens"]:
            problems.append(f"request {index}: {len(a)} tokens, {request['max_tokens']} wanted")
    return problems


def parse_args():
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--bin-dir", required=True, help="folder of baton-router, baton-prefill, baton-decode")
    parser.add_argument("--model", required=True, help="GGUF file")
    parser.add_argument("--vocab", type=int, required=True, help="prompt token ids are drawn below this")
    parser.add_argument("--requests", type=int, default=500)
    parser.add_argument("--per-round", type=int, default=100, help="requests between restarts with other chunk budgets")
    parser.add_argument("--concurrency", type=int, default=16)
    parser.add_argument("--max-prompt", type=int, default=1500)
    parser.add_argument("--min-out", type=int, default=128)
    parser.add_argument("--max-out", type=int, default=192)
    parser.add_argument("--split-pages", type=int, default=400, help="pages of each decode rank of the split cluster")
    parser.add_argument("--threads", type=int, default=2)
    parser.add_argument("--seed", type=int, default=1)
    parser.add_argument("--want-preemptions", type=int, default=50)
    parser.add_argument("--want-prefix-hits", type=int, default=100)
    return parser.parse_args()


def main():
    args = parse_args()
    rng = random.Random(args.seed)
    requests = make_requests(rng, args.requests, args.vocab, args.max_prompt, args.min_out, args.max_out)
    totals = {"preemptions": 0, "prefix_hits": 0, "held": 0, "lost": 0}
    whole, split = [], []
    begin = time.monotonic()
    with tempfile.TemporaryDirectory(prefix="baton-split-") as state:
        for start in range(0, args.requests, args.per_round):
            batch = requests[start:start + args.per_round]
            with Cluster(args, f"{state}/whole{start}", prefills=0, decodes=1, pages=4096, rng=rng) as cluster:
                whole += run_all(cluster.port, batch, args.concurrency, f"whole {start}")
            with Cluster(args, f"{state}/split{start}", prefills=1, decodes=2, pages=args.split_pages, rng=rng) as cluster:
                split += run_all(cluster.port, batch, args.concurrency, f"split {start}")
                cluster.wait_idle()
                for key, value in cluster.counters().items():
                    totals[key] += value
    problems = compare(requests, whole, split)
    handoffs = totals["held"] + totals["lost"]
    if totals["preemptions"] < args.want_preemptions:
        problems.append(f"only {totals['preemptions']} preemptions")
    if totals["prefix_hits"] < args.want_prefix_hits:
        problems.append(f"only {totals['prefix_hits']} prefix hits")
    if handoffs == 0 or totals["held"] / handoffs < 0.99:
        problems.append(f"{totals['held']} of {handoffs} handoffs held")
    report = {"requests": args.requests, "cancelled": sum(r["cancel_after"] is not None for r in requests),
              "tokens": sum(len(r) for r in split if isinstance(r, list)), **totals,
              "seconds": round(time.monotonic() - begin), "problems": problems}
    print(json.dumps(report, indent=1))
    sys.exit(1 if problems else 0)


if __name__ == "__main__":
    main()
