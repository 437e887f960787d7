#!/usr/bin/env python3
"""Real owners and readers of handoffs, in network namespaces, struck by every fault in every state (docs/handoff.md)."""

import argparse
import asyncio
import collections
import json
import os
import random
import signal
import subprocess
import sys
import time

from lane import Lane, remove_leftovers, why_not
from states import NEVER_LAST, STATES
from strikes import FAULTS, LEASE, MEANING
from story import Missed, run_control, run_story

ROOT = os.path.dirname(os.path.dirname(os.path.dirname(os.path.abspath(__file__))))
TRIES = 20  # at one story, until the fault strikes in time
CONTROL_BATCH = 25
WIRES = ["zmq", "tcp", "shm", "ucx"]
FLAGS = ["--pages=64"]


class Run:
    def __init__(self, binary, wire, lanes, quiet=False):
        self.binary, self.wire, self.lanes, self.quiet = binary, wire, lanes, quiet
        self.rows = collections.defaultdict(list)  # (state, fault) -> rows
        self.control, self.missed, self.unreached = [], 0, []
        self.done = self.total = 0

    async def play(self, repeats, control, seed, only=None):
        jobs = [(state, fault) for state in STATES if state not in NEVER_LAST.get(self.wire, ())
                for fault in FAULTS if only is None or only(state, fault)] * repeats
        random.Random(seed).shuffle(jobs)
        jobs += [None] * (control // CONTROL_BATCH)
        self.total = len(jobs)
        self.began = time.monotonic()
        lanes = [Lane(number) for number in range(min(self.lanes, len(jobs)))]
        workers = []
        try:
            await asyncio.gather(*(lane.start() for lane in lanes))
            workers = [asyncio.ensure_future(self._work(lane, jobs)) for lane in lanes]
            workers.append(asyncio.ensure_future(self._progress()))
            await asyncio.gather(*workers[:-1])
        finally:
            for worker in workers:
                worker.cancel()
            await asyncio.gather(*workers, return_exceptions=True)
            for lane in lanes:
                lane.stop()
        self.seconds = time.monotonic() - self.began

    async def _work(self, lane, jobs):
        while jobs:
            job = jobs.pop()
            if job is None:
                self.control.append(await run_control(lane, self.binary, self._flags(), CONTROL_BATCH))
            else:
                await self._story(lane, *job)
            self.done += 1

    def _flags(self):
        return [*FLAGS, f"--wire={self.wire}"]

    async def _story(self, lane, state, fault):
        for _ in range(TRIES):
            try:
                row = await run_story(lane, self.binary, self._flags(), state, STATES[state], FAULTS[fault])
                self.rows[state, fault].append(row)
                return
            except Missed as missed:
                self.missed += 1
                why = str(missed)
        self.unreached.append(f"{'/'.join(state)} x {fault}: {why}")

    async def _progress(self):
        while not self.quiet:
            await asyncio.sleep(5)
            print(f"faults: {self.done} of {self.total} stories, {time.monotonic() - self.began:.0f} s, "
                  f"{self.missed} missed their state, {len(self.problems())} problems", file=sys.stderr, flush=True)

    def problems(self):
        found = []
        every = [(f"{'/'.join(state)} x {fault}", row) for (state, fault), rows in self.rows.items() for row in rows]
        every += [("control", row) for row in self.control]
        for name, row in every:
            for what in ("wrong", "late", "leaked"):
                if row[what]:
                    found.append(f"{name}: {what} {row[what]}")
            found += [f"{name}: {text}" for text in row["hangs"] + row["broken"]]
        return found + [f"not reached: {text}" for text in self.unreached]

    def count(self, what):
        if what == "unreached":
            return len(self.unreached)
        rows = [row for rows in self.rows.values() for row in rows] + self.control
        return sum(len(row[what]) if isinstance(row[what], list) else row[what] for row in rows)


def cell(rows):
    ended = collections.Counter(row["reader"] for row in rows)
    after = [row["after"] for row in rows if row["after"] is not None]
    return {"n": len(rows), "held": ended["held"], "recomputed": ended["lost"], "reader_gone": ended["gone"],
            "owner_held": sum(row["owner"] == "held" for row in rows),
            "longest_s": round(max(row["seconds"] for row in rows), 3), "next_held_after_s": round(max(after), 3) if after else None}


def table(rows):
    """States by faults: the share held, or that the reader was gone; and the longest until both ends had ended it."""
    states = [state for state in STATES if any(key[0] == state for key in rows)]
    faults = [fault for fault in FAULTS if any(key[1] == fault for key in rows)]
    lines = ["| owner/reader | " + " | ".join(faults) + " |", "| --- |" + " --- |" * len(faults)]
    for state in states:
        texts = []
        for fault in faults:
            if not (stories := rows.get((state, fault))):
                texts.append("")
                continue
            c = cell(stories)
            share = "gone" if c["reader_gone"] == c["n"] else f"{100 * c['held'] // c['n']}%"
            texts.append(f"{share} {c['longest_s']:.1f}")
        lines.append(f"| {'/'.join(state)} | " + " | ".join(texts) + " |")
    return "\n".join(lines)


def over_all(runs):
    rows = collections.defaultdict(list)
    for run in runs:
        for key, stories in run.rows.items():
            rows[key] += stories
    return rows


def commit():
    shown = subprocess.run(["git", "-C", ROOT, "rev-parse", "--short", "HEAD"], capture_output=True, text=True, check=False)
    return shown.stdout.strip()


def machine():
    with open("/proc/cpuinfo", encoding="utf-8") as info:
        model = next((line.split(":")[1].strip() for line in info if line.startswith("model name")), "unknown")
    return f"{model}, {os.cpu_count()} cores"


def cells_of(run):
    return [{"wire": run.wire, "owner": s[0], "reader": s[1], "fault": f, **cell(rows)}
            for (s, f), rows in sorted(run.rows.items())]


def figures(run):
    control = sum(row["n"] for row in run.control)
    held = sum(row["held"] for row in run.control)
    counts = [len(rows) for rows in run.rows.values()]
    rows = [{"name": f"{name} ({run.wire})", "value": run.count(what), "unit": unit, "target": 0}
            for name, what, unit in (("wrong bytes attended to", "wrong", "bytes"), ("late writes into freed pages", "late", "bytes"),
                                     ("leaked pages and records", "leaked", "pages"), ("hangs", "hangs", "handoffs"),
                                     ("broken promises", "broken", "handoffs"), ("cells not reached", "unreached", "cells"))]
    rows += [{"name": f"handoffs struck by a fault ({run.wire})", "value": sum(counts), "unit": "handoffs"},
             {"name": f"cells of state x fault ({run.wire})", "value": len(counts), "unit": "cells"},
             {"name": f"fewest strikes of a cell ({run.wire})", "value": min(counts, default=0), "unit": "handoffs"},
             {"name": f"pulls lost because a checksum differed ({run.wire})", "value": run.count("caught"), "unit": "handoffs"},
             {"name": f"pulls that were fencing for a while ({run.wire})", "value": run.count("fenced"), "unit": "handoffs"}]
    if control:
        rows += [{"name": f"held without faults ({run.wire})", "value": 100 * held / control, "unit": "%", "target": 99},
                 {"name": f"recomputed without faults ({run.wire})", "value": control - held, "unit": "handoffs", "target": 0}]
    return rows


def report(runs):
    return {"machine": machine(), "commit": commit(), "lease_s": LEASE, "seconds": round(sum(run.seconds for run in runs)),
            "rows": [row for run in runs for row in figures(run)], "faults": MEANING,
            "cells": [one for run in runs for one in cells_of(run)], "problems": [text for run in runs for text in run.problems()]}


def write(result, path):
    """As JSON, with one line for each row and cell."""
    parts = []
    for key, value in result.items():
        lines = ",\n  ".join(json.dumps(item) for item in value) if isinstance(value, list) else ""
        parts.append(json.dumps(key) + ": " + (f"[\n  {lines}]" if lines else json.dumps(value)))
    with open(path, "w", encoding="utf-8") as out:
        out.write("{" + ",\n ".join(parts) + "}\n")


def arguments():
    parser = argparse.ArgumentParser(
        description="Every fault in every state of a handoff, between real processes in network namespaces (needs root). "
                    "Prints how many were held, and how long the longest took to end, in seconds; exits with 1 if "
                    "anything was wrong, leaked, hung or not reached.")
    parser.add_argument("--binary", default=os.path.join(os.environ.get("BATON_BIN_DIR", os.path.join(ROOT, "build", "bin")),
                                                         "fault_party"))
    parser.add_argument("--repeats", type=int, default=10, help="strikes of each cell (%(default)s)")
    parser.add_argument("--control", type=int, default=1000, help="handoffs without faults (%(default)s)")
    parser.add_argument("--quick", action="store_true", help="one strike of each cell, and 100 handoffs without faults")
    parser.add_argument("--lanes", type=int, default=16, help="pairs of processes at work at a time (%(default)s)")
    parser.add_argument("--wire", nargs="+", default=["zmq"], choices=WIRES, help="of the bytes, one after the other (zmq)")
    parser.add_argument("--state", help="only this state, such as Sealed/Confirming")
    parser.add_argument("--fault", choices=FAULTS, help="only this fault")
    parser.add_argument("--seed", type=int, default=1, help="of the order of stories (%(default)s)")
    parser.add_argument("--verbose", action="store_true", help="show the processes' logs")
    parser.add_argument("--json", metavar="FILE", help="write the figures there")
    return parser.parse_args()


async def main():
    args = arguments()
    if reason := why_not():
        sys.exit(f"faults: {reason}")
    remove_leftovers()
    Lane.verbose = args.verbose
    task = asyncio.current_task()
    for number in (signal.SIGINT, signal.SIGTERM):
        asyncio.get_running_loop().add_signal_handler(number, task.cancel)
    runs = []
    for wire in args.wire:
        run = Run(args.binary, wire, args.lanes)
        runs.append(run)
        await run.play(1 if args.quick else args.repeats, 100 if args.quick else args.control, args.seed,
                       lambda state, fault: args.state in (None, "/".join(state)) and args.fault in (None, fault))
        print(f"{wire}: share held, and the longest until both had ended it, in seconds\n{table(run.rows)}")
        for row in figures(run):
            print(f"{row['name']}: {row['value']:g} {row['unit']}" + (f" (target {row['target']})" if "target" in row else ""))
        for problem in run.problems():
            print(f"PROBLEM {problem}", flush=True)
        if args.json:  # after each wire, so that an interrupted run leaves what it has
            write(report(runs), args.json)
    if len(runs) > 1:
        print(f"{' '.join(args.wire)} together:\n{table(over_all(runs))}")
    return 1 if any(run.problems() for run in runs) else 0


if __name__ == "__main__":
    try:
        sys.exit(asyncio.run(main()))
    except asyncio.CancelledError:
        sys.exit("faults: stopped; everything is cleaned up")
