"""The reference strings of the tokenizer tests: a pure function of (fragments file, index).

tests/unit/engine/text/string_source.cc makes the same strings; the goldens hold a hash of them, so a difference shows.
"""
import re

MASK = (1 << 64) - 1
COUNT = 20000


def fnv1a(data, h=0xCBF29CE484222325):
    for byte in data:
        h = ((h ^ byte) * 0x100000001B3) & MASK
    return h


class Random:
    """SplitMix64."""

    def __init__(self, seed):
        self.state = seed & MASK

    def next(self):
        self.state = (self.state + 0x9E3779B97F4A7C15) & MASK
        z = self.state
        z = ((z ^ (z >> 30)) * 0xBF58476D1CE4E5B9) & MASK
        z = ((z ^ (z >> 27)) * 0x94D049BB133111EB) & MASK
        return z ^ (z >> 31)

    def below(self, n):
        return self.next() % n


def _unescape(line):
    simple = {"n": "\n", "r": "\r", "t": "\t", "\\": "\\"}
    return re.sub(r"\\(x\{([0-9a-f]+)\}|[nrt\\])",
                  lambda m: chr(int(m.group(2), 16)) if m.group(2) else simple[m.group(1)], line)


class Source:
    def __init__(self, path):
        self.sections = {}
        section = None
        with open(path, encoding="utf-8", newline="\n") as lines:
            for line in lines.read().split("\n"):
                if not line or line.startswith("# "):
                    continue
                if re.fullmatch(r"\[[a-z]+\]", line):
                    section = self.sections.setdefault(line[1:-1], [])
                else:
                    section.append(line)
        self.ranges = [tuple(int(x, 16) for x in line.split("-")) for line in self.sections.pop("ranges")]
        self.sections = {name: [_unescape(x) for x in lines] for name, lines in self.sections.items()}
        self.all = [x for name in ("words", "digits", "code", "space", "emoji", "special") for x in self.sections[name]]

    def _pick(self, random, *names):
        section = self.sections[names[random.below(len(names))]]
        return section[random.below(len(section))]

    def _join(self, random, most, *names):
        return "".join(self._pick(random, *names) for _ in range(1 + random.below(most)))

    def _script(self, random):
        first, last = self.ranges[random.below(len(self.ranges))]
        out = ""
        for _ in range(1 + random.below(50)):
            out += " " if random.below(7) == 0 else chr(first + random.below(last - first + 1))
        return out

    @staticmethod
    def _any(random):
        out = ""
        for _ in range(1 + random.below(40)):
            code_point = random.below(0x110000 - 0x800)
            out += chr(code_point if code_point < 0xD800 else code_point + 0x800)
        return out

    @staticmethod
    def _bytes(random):
        return bytes(random.below(256) for _ in range(random.below(81))).decode("utf-8", errors="replace")

    def string(self, index):
        random = Random(index * 0x2545F4914F6CDD1D + 1)
        kind = index % 10
        if kind == 0:
            return "".join(self.all[random.below(len(self.all))] for _ in range(1 + random.below(30)))
        if kind == 1:
            return self._script(random)
        if kind == 2:
            return self._any(random)
        if kind == 3:
            return self._bytes(random)
        if kind == 4:
            return self._pick(random, "words", "digits", "code", "space", "emoji") * (1 + random.below(120))
        if kind == 5:
            return "".join(chr(32 + random.below(95)) for _ in range(1 + random.below(80)))
        if kind == 6:
            return self._join(random, 25, "code", "words", "space", "code")
        if kind == 7:
            return self._join(random, 30, "space", "space", "words", "digits")
        if kind == 8:
            return self._join(random, 25, "digits", "words", "special")
        return self._join(random, 25, "emoji", "emoji", "words", "space")


def code_point_string(code_point):
    """Puts a code point after a letter, a space, itself, a digit and a symbol."""
    c = chr(code_point)
    return "a" + c + " " + c + c + "1" + c + "!" + c + "\n"


def scalar_values(first, last):
    return [c for c in range(first, last) if not 0xD800 <= c < 0xE000]


def knows_specials(index):
    return index // 10 % 2 == 1
