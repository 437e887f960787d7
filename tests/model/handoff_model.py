"""Checks the handoff's model: the whole protocol in several configurations, that the interesting states are reached, and that
each rule taken away is missed (or that others cover it). Prints the tables of results.md; fails if anything is otherwise.

    python3 tests/model/handoff_model.py [--only PART] [--jobs N] [--deep] [--write]
"""

import argparse
import concurrent.futures
import os
import shutil
import subprocess
import sys
import time

import check
from check import HERE
from rules import CONFIGS, DEEP, POINTS, RULES

COUNTEREXAMPLES = os.path.join(HERE, "counterexamples")


def verify(*args, **kwargs):
    try:
        return check.verify(*args, **kwargs)
    except (RuntimeError, subprocess.TimeoutExpired) as error:
        return check.Outcome(False, False, 0, 0, 0, 0, str(error)[-2000:])


class Report:
    def __init__(self):
        self.lines, self.wrong = [], []

    def say(self, line):
        self.lines.append(line)
        print(line, flush=True)

    def require(self, ok, what):
        if not ok:
            self.wrong.append(what)
            print("WRONG: " + what, flush=True)


def amount(n):
    return "{:,}".format(n)


def check_configs(report, pool, only, configs, **how):
    report.say("| configuration | states | depth | seconds | MB | cycles |")
    report.say("| --- | ---: | ---: | ---: | ---: | --- |")
    chosen = [(name, config) for name, config in configs.items() if not only or only in name]
    runs = [pool.submit(verify, flags, **how) for _, (_, flags, _) in chosen]
    cycle_runs = [pool.submit(verify, flags, cycles=True) if cycles else None for _, (_, flags, cycles) in chosen]
    for (name, _), done, cycle_done in zip(chosen, runs, cycle_runs):
        outcome = done.result()
        none = "not looked for"
        report.require(not outcome.failed and outcome.complete,
                       "%s: %s\n  %s" % (name, outcome.why or "not all states were looked at", "\n  ".join(outcome.story)))
        if cycle_done:
            cycle = cycle_done.result()
            none = "none"
            report.require(not cycle.failed and cycle.complete, name + ": a cycle, or the search for one was cut short")
        report.say("| %s | %s | %d | %.0f | %s | %s |" % (name, amount(outcome.states), outcome.depth, outcome.seconds,
                                                       amount(outcome.megabytes), none))


def check_points(report, pool, only):
    report.say("")
    report.say("| reached | in steps |")
    report.say("| --- | ---: |")
    chosen = [(point, told) for point, told in POINTS.items() if not only or only in point]
    runs = [pool.submit(verify, dict(flags, FIND=point), shortest=True) for point, (_, flags) in chosen]
    for (point, (told, _)), done in zip(chosen, runs):
        outcome = done.result()
        report.require(outcome.failed, point + " is never reached " + outcome.why)
        report.say("| %s | %d |" % (told, outcome.depth))


def keep(flag, rule, outcome, write, taken):
    if not write:
        return
    os.makedirs(COUNTEREXAMPLES, exist_ok=True)
    with open(os.path.join(COUNTEREXAMPLES, flag.lower() + ".txt"), "w") as out:
        out.write("Without: %s\nTaken away: %s\nBroken: %s\n\n" % (rule, ", ".join(taken), outcome.why))
        out.write("\n".join(line.lstrip() if "->" not in line else "    " + line.lstrip() for line in outcome.story) + "\n")


def check_rules(report, pool, only, write):
    report.say("")
    report.say("| rule taken away | alone | with | broken then | steps |")
    report.say("| --- | --- | --- | --- | ---: |")
    chosen = [(rule, told) for rule, told in RULES.items() if not only or only in told[0]]
    runs = []
    for _, (flag, faults, partners) in chosen:
        alone = pool.submit(verify, dict(faults, **{flag: 1}), shortest=not partners)
        together = dict(faults, **{name: 1 for name in [flag] + partners})
        runs.append((alone, pool.submit(verify, together, shortest=True) if partners else alone))
    for (rule, (flag, _, partners)), (alone, together) in zip(chosen, runs):
        outcome = together.result()
        report.require(outcome.failed, "%s: nothing breaks without it%s %s" % (
            flag, " and " + ", ".join(partners) if partners else "", outcome.why))
        if partners:
            one = alone.result()
            report.require(not one.failed and one.complete, "%s alone was said to be covered: %s\n  %s" % (
                flag, one.why, "\n  ".join(one.story)))
        report.say("| %s | %s | %s | %s | %d |" % (rule, "holds" if partners else "fails", ", ".join(
            name.lower().replace("_", " ") for name in partners), outcome.why, outcome.depth))
        if outcome.failed:
            keep(flag, rule, outcome, write, [flag] + partners)


def main():
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--only", default="", help="a configuration, point or rule: those whose name contains this")
    parser.add_argument("--jobs", type=int, default=1)
    parser.add_argument("--deep", action="store_true", help="the largest configuration as well: minutes, and 20 GiB")
    parser.add_argument("--write", action="store_true", help="writes results.md and counterexamples/")
    args = parser.parse_args()
    if not shutil.which("spin"):
        print("skipped: there is no `spin` here (apt-get install spin)")
        return 77
    start = time.monotonic()
    report = Report()
    with concurrent.futures.ThreadPoolExecutor(args.jobs) as pool:
        check_rules(report, pool, args.only, args.write)
        check_points(report, pool, args.only)
        report.say("")
        check_configs(report, pool, args.only, CONFIGS)
        if args.deep:
            report.say("")
            check_configs(report, pool, args.only, DEEP, seconds=3600, hash_bits=29, megabytes=60000)
    print("%.0f s, %d wrong" % (time.monotonic() - start, len(report.wrong)))
    if args.write and not report.wrong:
        with open(os.path.join(HERE, "results.md"), "w") as out:
            out.write("Written by `python3 tests/model/handoff_model.py --write`. What the rows mean: rules.py, docs/handoff.md (Proof).\n")
            out.write("\n".join(report.lines) + "\n")
    return 1 if report.wrong else 0


if __name__ == "__main__":
    sys.exit(main())
