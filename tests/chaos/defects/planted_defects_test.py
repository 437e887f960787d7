"""Each planted defect turns a chaos run red by the check that is there for it; sound workers keep it green."""

import json
import os
import shutil
import subprocess
import tempfile
import unittest

BIN = os.environ["BATON_BIN_DIR"]
SOURCE = os.environ["BATON_SOURCE_DIR"]
PLANTED = os.environ.get("BATON_PLANTED_DIR") or os.path.join(os.path.dirname(BIN), "planted")
SLOWER = 3 if os.environ.get("BATON_SANITIZE") else 1

EQUAL, LEAKS, ENDS = "tokens equal the oracle's", "no page leaks", "every stream ends"
# The check that must see it, and all others that may.
SEEN_BY = {
    "dropped_token": (EQUAL, set()),
    "repeated_token": (EQUAL, set()),
    "flipped_bit": (EQUAL, set()),
    "flipped_bit_of_the_owner": ("no checksum fails", set()),
    "stale_page": (EQUAL, set()),
    "wrong_position_after_replay": (EQUAL, set()),
    "leaked_page": (LEAKS, set()),
    "hung_stream": (ENDS, {"at most 0 streams end in an error"}),
    "lost_cancel": ("cancelled streams stop being computed", {LEAKS}),
}


class PlantedDefectsTest(unittest.TestCase):
    @classmethod
    def setUpClass(cls):
        folder = tempfile.mkdtemp(prefix="baton-planted-")
        cls.addClassCleanup(shutil.rmtree, folder, ignore_errors=True)
        scenario, out = os.path.join(folder, "planted.yaml"), os.path.join(folder, "out")
        with open(os.path.join(SOURCE, "tests", "chaos", "defects", "planted_defects.yaml")) as file:
            text = file.read()
        with open(scenario, "w") as file:
            file.write(text.replace("PLANTED/", PLANTED + "/"))
        tiny = os.path.join(SOURCE, "tests", "goldens", "model", "tiny-llama.gguf")
        ran = subprocess.run([os.path.join(BIN, "baton-chaos"), "run", scenario, f"--out={out}", f"--tiny_model={tiny}"],
                             env=dict(os.environ, TMPDIR=folder, no_proxy="127.0.0.1", NO_PROXY="127.0.0.1"), text=True,
                             stdin=subprocess.DEVNULL, stdout=subprocess.PIPE, stderr=subprocess.PIPE, timeout=270 * SLOWER, check=False)
        print(ran.stdout)
        if ran.returncode != 0:
            raise AssertionError(f"exit {ran.returncode}:\n{ran.stdout}\n{ran.stderr}")
        cls.checks = {}
        with open(os.path.join(out, "run.json")) as file:
            for check in json.load(file)["checks"]:
                run, name = check["name"].split(": ", 1)
                cls.checks.setdefault(run.split(" at ")[0], {})[name] = check

    def failed(self, variant):
        return {name for name, check in self.checks[variant].items() if not check["ok"]}

    def test_sound_workers_are_green(self):
        for variant in ("sound", "sound_with_cancels"):
            self.assertEqual(self.failed(variant), set(), self.checks[variant])

    def test_each_defect_is_seen_by_its_check(self):
        self.assertEqual(set(self.checks), set(SEEN_BY) | {"sound", "sound_with_cancels"})
        for variant, (name, others) in SEEN_BY.items():
            with self.subTest(variant):
                self.assertIn(name, self.failed(variant))
                self.assertLessEqual(self.failed(variant), others | {name}, self.checks[variant])


if __name__ == "__main__":
    unittest.main()
