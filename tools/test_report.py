#!/usr/bin/env python3
"""Sums up a test run: one line a failed or skipped test, then 'N passed, N failed, N skipped'.

Reads a folder with ctest.xml (ctest --output-junit) and the files that the test programs wrote themselves
(GTEST_OUTPUT=xml:FOLDER/, which tests/e2e follows too). A program that wrote no file counts as one test, by its exit status;
one that wrote a file but ended badly counts as one failure more. Exits 1 if anything failed or nothing ran.
"""

import pathlib
import re
import sys
import xml.etree.ElementTree as ElementTree


def read_cases(path):
    """[(name, outcome, reason)] of one result file; outcome is passed, failed or skipped."""
    cases = []
    for case in ElementTree.parse(path).getroot().iter("testcase"):
        name = ".".join(filter(None, [case.get("classname"), case.get("name")]))
        failure, skipped = case.find("failure"), case.find("skipped")
        if failure is not None:
            cases.append((name, "failed", first_line(failure.get("message"))))
        elif skipped is not None:
            cases.append((name, "skipped", first_line(skipped.get("message"))))
        elif case.get("status") == "notrun":
            cases.append((name, "skipped", "disabled"))
        else:
            cases.append((name, "passed", ""))
    return cases


def first_line(message):
    """The part of a message that a person wants: googletest puts file and line before it."""
    lines = [line.strip() for line in (message or "").splitlines()]
    lines = [line for line in lines if line and not re.fullmatch(r"\S+:\d+|Failed|Skipped|.*: Skipped", line)]
    return lines[0] if lines else "no reason given"


def collect(folder):
    """[(program, name, outcome, reason)] of a whole run."""
    reports = {path.stem: path for path in folder.glob("*.xml") if path.name != "ctest.xml"}
    results = []
    for program in ElementTree.parse(folder / "ctest.xml").getroot().iter("testcase"):
        name, status = program.get("name"), program.get("status")
        cases = []
        if name in reports:
            try:
                cases = read_cases(reports[name])
            except ElementTree.ParseError:
                cases = [("(its report)", "failed", "cut short: the program crashed while it wrote it")]
        results += [(name, *case) for case in cases]
        failed_inside = any(outcome == "failed" for _, outcome, _ in cases)
        skipped = program.find("skipped")
        if status in ("notrun", "disabled") or skipped is not None:
            if not cases:
                results.append((name, "", "skipped", "not run" if skipped is None else first_line(skipped.get("message"))))
        elif status != "run" and not failed_inside:
            failure = program.find("failure")
            reason = failure.get("message") if failure is not None else status
            results.append((name, "", "failed", reason or "ended badly"))
        elif not cases:
            results.append((name, "", "passed", ""))
    return results


def main():
    try:
        results = collect(pathlib.Path(sys.argv[1]))
    except (OSError, ElementTree.ParseError) as error:
        print(f"no test results to read: {error}")
        return 1
    for wanted in ("skipped", "failed"):
        for program, name, outcome, reason in results:
            if outcome == wanted:
                print(f"{wanted}: {program}{' ' + name if name else ''}: {reason}")
    counts = {kind: sum(outcome == kind for _, _, outcome, _ in results) for kind in ("passed", "failed", "skipped")}
    print(", ".join(f"{count} {kind}" for kind, count in counts.items()))
    return 1 if counts["failed"] or not results else 0


if __name__ == "__main__":
    sys.exit(main())
