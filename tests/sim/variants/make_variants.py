"""Copies the handoff's sources into a build folder, with the edits of edits.py. Fails if a text to edit is not found exactly once.

    python3 make_variants.py SOURCE_FOLDER OUTPUT_FOLDER
"""

import os
import sys

from edits import EDITS


def main(source, output):
    os.makedirs(output, exist_ok=True)
    texts = {}
    for name in sorted(os.listdir(source)):
        if name.endswith((".h", ".cc")):
            with open(os.path.join(source, name)) as file:
                texts[name] = file.read()
    wrong = []
    for name, old, new in EDITS:
        found = texts.get(name, "").count(old)
        if found != 1:
            wrong.append("%s: found %d times, not once: %r" % (name, found, old))
        else:
            texts[name] = texts[name].replace(old, new)
    if wrong:
        sys.exit("tests/sim/variants/edits.py no longer fits the handoff:\n" + "\n".join(wrong))
    for name, text in texts.items():
        with open(os.path.join(output, name), "w") as file:
            file.write('#include "tests/sim/variants/without.h"\n' + text)


if __name__ == "__main__":
    main(*sys.argv[1:])
