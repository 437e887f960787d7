"""baton-report as a program: its page is well-formed XML that needs nothing else, whatever a record says."""

import json
import os
import subprocess
import tempfile
import unittest
import xml.etree.ElementTree as ElementTree
from html.parser import HTMLParser

SVG = "{http://www.w3.org/2000/svg}"
EVIL = "</title><script>alert('x')</script>&\"\u0001\u2028"


def run_of(rate, repeat, name):
    spread = {"count": 30, "mean": 5, "p50": 4 + rate, "max": 9}
    return {
        "label": name,
        "rate": rate,
        "repeat": repeat,
        "duration_s": 5,
        "summary": {"ttft_ms": spread, "itl_ms": spread, "requests": 30, "errors": {EVIL: 2}, "slo": {"ttft_ms": 9}},
        "histograms": {"ttft_ms": [[1 + rate, 10], [4, 20]]},
        "timeline": {"bin_s": 0.5, "series": {"running": [1, None, 3, 4], "errors": [0, 2, 0, 0]}},
        "marks": [{"at_s": 1, "kind": "kill", "what": EVIL}, {"at_s": 1.5, "kind": "back", "what": "decode-0"}],
    }


def record_of(name):
    return {
        "format": "baton-run-1",
        "name": name,
        "machine": EVIL,
        "config": {EVIL: EVIL, "scenario": "a\n" + EVIL},
        "hypothesis": EVIL,
        "held": True,
        "expected": True,
        "checks": [{"name": EVIL, "ok": False, "detail": EVIL}],
        "rows": [{"name": EVIL, "value": 1, "unit": EVIL, "peer": EVIL, "ratio": 2, "target": 1}],
        "runs": [run_of(rate, repeat, name) for rate in (1, 2) for repeat in (0, 1)],
    }


class Attributes(HTMLParser):
    def __init__(self):
        super().__init__()
        self.tags, self.names = set(), set()

    def handle_starttag(self, tag, attrs):
        self.tags.add(tag)
        self.names.update(name for name, _ in attrs)


class PageTest(unittest.TestCase):
    def setUp(self):
        folder = tempfile.TemporaryDirectory()
        self.addCleanup(folder.cleanup)
        self.folder = folder.name

    def write(self, name, record):
        path = os.path.join(self.folder, name)
        with open(path, "w", encoding="utf-8") as file:
            file.write(record if isinstance(record, str) else json.dumps(record))
        return path

    def report(self, *arguments):
        command = [os.path.join(os.environ["BATON_BIN_DIR"], "baton-report"), *arguments]
        return subprocess.run(command, capture_output=True, text=True, timeout=60, check=False)

    def page(self):
        with open(os.path.join(self.folder, "report.html"), encoding="utf-8") as file:
            return file.read()

    def test_page_is_xml_with_pictures_and_no_way_out(self):
        done = self.report(self.write("a.json", record_of("split" + EVIL)))
        self.assertEqual(done.returncode, 0, done.stderr)
        page = self.page()
        root = ElementTree.fromstring(page)
        self.assertGreaterEqual(len(root.findall(f".//{SVG}svg")), 4)
        marks = [e for e in root.iter(f"{SVG}text") if "marktext" in e.get("class", "")]
        self.assertTrue(any(e.text == "decode-0 back" for e in marks))
        seen = Attributes()
        seen.feed(page)
        self.assertFalse(seen.tags & {"script", "img", "link", "iframe", "object", "a"})
        self.assertFalse({n for n in seen.names if n.startswith("on") or n in ("src", "href")})

    def test_side_by_side(self):
        first, second = self.write("a.json", record_of("split")), self.write("b.json", record_of("split"))
        done = self.report("--html", os.path.join(self.folder, "report.html"), "--text", first, second)
        self.assertEqual(done.returncode, 0, done.stderr)
        self.assertIn("DIFFERENCE OF MEDIANS", done.stdout)
        ElementTree.fromstring(self.page())
        self.assertIn("B split at 2/s beside A split", self.page())

    def test_what_is_wrong_is_said(self):
        for arguments in ([], [os.path.join(self.folder, "none.json")], [self.write("c.json", "{}")]):
            done = self.report(*arguments)
            self.assertEqual(done.returncode, 1)
            self.assertIn("baton-report: ", done.stderr)
        self.assertFalse(os.path.exists(os.path.join(self.folder, "report.html")))


if __name__ == "__main__":
    unittest.main()
