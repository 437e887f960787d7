"""Each planted defect turns a chaos run red by the check that is there for it; sound workers keep it green."""

import json
import os
import shutil
import subprocess
import tempfile
import unittest
from concurrent.futures import ThreadPoolExecutor

BIN = os.environ["BATON_BIN_DIR"]
SOURCE = os.environ["BATON_SOURCE_DIR"]
PLANTED = os.environ.get("BATON_PLANTED_DIR") or os.path.join(os.path.dirname(BIN), "planted")
AT_ONCE = 2  # much of a run is waiting
SOUND = ("sound", "sound_with_cancels")

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
        scenario = os.path.join(folder, "planted.yaml")
        with open(os.path.join(SOURCE, "tests", "chaos", "defects", "planted_defects.yaml")) as file:
            text = file.read()
        with open(scenario, "w") as file:
            file.write(text.replace("PLANTED/", PLANTED + "/"))
        with ThreadPoolExecutor(AT_ONCE) as pool:
            # The sound ones make the references, which the others find kept.
            cls.checks = dict(pool.map(lambda variant: (variant, cls.run_variant(folder, scenario, variant)), SOUND))
            cls.checks.update(pool.map(lambda variant: (variant, cls.run_variant(folder, scenario, variant)), SEEN_BY))
        cls.references = os.listdir(os.path.join(folder, "oracle"))

    @staticmethod
    def run_variant(folder, scenario, variant):
        out = os.path.join(folder, variant)
        tiny = os.path.join(SOURCE, "tests", "goldens", "model", "tiny-llama.gguf")
        ran = subprocess.run([os.path.join(BIN, "baton-chaos"), "run", scenario, f"--variant={variant}", f"--out={out}",
                              f"--tiny_model={tiny}", f"--oracle_dir={folder}/oracle"],
                             env=dict(os.environ, TMPDIR=folder, no_proxy="127.0.0.1", NO_PROXY="127.0.0.1"), text=True,
                             stdin=subprocess.DEVNULL, stdout=subprocess.PIPE, stderr=subprocess.PIPE, timeout=120, check=False)
        print(ran.stdout)
        # "it was expected to fail": 1 of sound workers.
        if ran.returncode != (1 if variant in SOUND else 0):
            raise AssertionError(f"{variant}: exit {ran.returncode}:\n{ran.stdout}\n{ran.stderr}")
        with open(os.path.join(out, "run.json")) as file:
            return {check["name"].split(": ", 1)[1]: check for check in json.load(file)["checks"]}

    def failed(self, variant):
        return {name for name, check in self.checks[variant].items() if not check["ok"]}

    def test_sound_workers_are_green(self):
        for variant in SOUND:
            self.assertEqual(self.failed(variant), set(), self.checks[variant])

    def test_references_are_kept_between_invocations(self):
        self.assertEqual(len(self.references), len(SOUND))

    def test_each_defect_is_seen_by_its_check(self):
        for variant, (name, others) in SEEN_BY.items():
            with self.subTest(variant):
                self.assertIn(name, self.failed(variant))
                self.assertLessEqual(self.failed(variant), others | {name}, self.checks[variant])


if __name__ == "__main__":
    unittest.main()
