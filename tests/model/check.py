"""Builds and runs SPIN verifiers of handoff.pml, and reads what they say."""

import os
import re
import subprocess
import tempfile
import time
from dataclasses import dataclass, field

HERE = os.path.dirname(os.path.abspath(__file__))
MODEL = os.path.join(HERE, "handoff.pml")
MEMORY_MB = 5600
UP = {1: "Open", 2: "Renew", 3: "Confirm", 4: "Release"}
DOWN = {1: "Opened", 2: "Refused (retry)", 3: "Refused", 4: "Offer", 5: "Seal", 6: "Verdict", 7: "Revoke"}


@dataclass
class Outcome:
    failed: bool
    complete: bool  # every state was looked at
    states: int
    depth: int
    seconds: float
    megabytes: int
    why: str = ""
    story: list = field(default_factory=list)


def run(command, cwd, seconds):
    return subprocess.run(command, cwd=cwd, timeout=seconds, stdout=subprocess.PIPE, stderr=subprocess.STDOUT, text=True,
                          errors="replace").stdout


def number(pattern, text, default=0):
    found = re.findall(pattern, text)
    return float(found[-1]) if found else default


def tell(line):
    line = re.sub(r"up-verb-(\d)", lambda m: UP[int(m[1])], line)
    line = re.sub(r"down-verb-(\d)", lambda m: DOWN[int(m[1])], line)
    return line


def story_of(flags, folder):
    """The counterexample as SPIN replays it: what our printf said, and the broken property."""
    text = run(["spin", "-T", "-k", "handoff.pml.trail", "-t", *flags, MODEL], folder, 120)
    story, why = [], "a state that cannot be left, with something left over"
    for line in text.splitlines():
        if line.startswith("#processes") or line.startswith("spin: trail ends"):
            break
        broken = re.match(r"spin: (\S+):(\d+), Error: assertion violated", line)
        if broken:
            with open(os.path.join(HERE, os.path.basename(broken[1]))) as source:
                said = re.search(r"/\* (.*) \*/", source.read().splitlines()[int(broken[2]) - 1])
            why = said[1] if said else "assertion at %s:%s" % (os.path.basename(broken[1]), broken[2])
        elif not line.startswith("spin:") and line.strip():
            story.append(tell(line.rstrip()))
    return story, why


def verify(defines, shortest=False, cycles=False, seconds=900, hash_bits=24, megabytes=MEMORY_MB):
    """Explores all states of the model built with `defines`; stops at the first error. `shortest`: breadth first, so that
    the error is the nearest. `cycles`: looks for cycles as well."""
    flags = ["-D%s=%s" % item for item in sorted(defines.items())]
    with tempfile.TemporaryDirectory(prefix="baton-model-") as folder:
        said = run(["spin", "-a", *flags, MODEL], folder, 120)
        if not os.path.exists(os.path.join(folder, "pan.c")):
            raise RuntimeError("spin: " + said)
        how = ["-DNP"] if cycles else ["-DSAFETY"] + (["-DBFS"] if shortest else [])
        said = run(["gcc", "-O0" if shortest else "-O1", "-w", "-DVECTORSZ=256", "-DNOREDUCE", "-DMEMLIM=%d" % megabytes, *how,
                    "-o", "pan", "pan.c"], folder, 600)
        if not os.path.exists(os.path.join(folder, "pan")):
            raise RuntimeError("gcc: " + said)
        start = time.monotonic()
        said = run(["./pan", "-m100000", "-w%d" % (20 if shortest else hash_bits)] + (["-l"] if cycles else []), folder, seconds)
        outcome = Outcome(failed=number(r"errors: (\d+)", said, 1) > 0,
                          complete="Search not completed" not in said and "max search depth too small" not in said,
                          states=int(number(r"([\d.e+]+) states, stored", said)), depth=int(number(r"depth reached (\d+)", said)),
                          seconds=time.monotonic() - start, megabytes=int(number(r"([\d.]+)\s+total actual memory", said)))
        if outcome.failed:
            if not os.path.exists(os.path.join(folder, "handoff.pml.trail")):
                raise RuntimeError("pan: " + said)
            outcome.story, outcome.why = story_of(flags, folder)
            outcome.complete = True
        return outcome
