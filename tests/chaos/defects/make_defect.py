"""Writes the edited copy of a source for one planted defect. Fails if a text to edit is not found exactly once.

    python3 make_defect.py SOURCE_ROOT NAME OUTPUT
    python3 make_defect.py --list          NAME:ROLE:SOURCE of each, separated by ;
"""

import sys

from edits import DEFECTS


def main(root, name, output):
    source, edits = DEFECTS[name][1:]
    with open(f"{root}/{source}") as file:
        text = file.read()
    for old, new in edits:
        if text.count(old) != 1:
            sys.exit(f"tests/chaos/defects/edits.py no longer fits {source}: found {text.count(old)} times, not once: {old!r}")
        text = text.replace(old, new)
    with open(output, "w") as file:
        file.write(text)


if __name__ == "__main__":
    if sys.argv[1:] == ["--list"]:
        print(";".join(f"{name}:{role}:{source}" for name, (role, source, _) in DEFECTS.items()), end="")
    else:
        main(*sys.argv[1:])
