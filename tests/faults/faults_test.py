"""Every fault in every state of a handoff once, between real processes; `faults.py` does it ten times."""

import asyncio
import os
import signal
import subprocess
import sys
import time
import unittest

from faults import FAULTS, STATES, Run, report, table
from lane import PREFIX, why_not
from states import NEVER_LAST

BINARY = os.path.join(os.environ["BATON_BIN_DIR"], "fault_party")
WHY_NOT = why_not()
HARNESS = os.path.join(os.path.dirname(os.path.abspath(__file__)), "faults.py")


def row(**changed):
    plain = {"owner": "held", "reader": "held", "seconds": 0.1, "after": 0.2, "wrong": 0, "late": 0, "leaked": 0,
             "fenced": 0, "caught": 0, "hangs": [], "broken": []}
    return {**plain, **changed}


class BooksTest(unittest.TestCase):
    def test_whatever_is_wrong_is_a_problem(self):
        run = Run(BINARY, "zmq", 1)
        run.rows[("Leased", "Pulling"), "cut"] = [row(), row(reader="lost", owner="lost", seconds=1.25)]
        self.assertEqual(run.problems(), [])
        for changed in ({"wrong": 1}, {"late": 8}, {"leaked": 8}, {"hangs": ["owner still Leased"]}, {"broken": ["x"]}):
            run.rows[("Leased", "Pulling"), "reset"] = [row(**changed)]
            self.assertEqual(len(run.problems()), 1, changed)
        run.unreached.append("Leased/Pulling x revoke")
        self.assertEqual(len(run.problems()), 2)

    def test_the_table_tells_shares_and_the_longest(self):
        run = Run(BINARY, "zmq", 1)
        run.seconds = 1
        run.rows[("Leased", "Pulling"), "cut"] = [row(), row(reader="lost", owner="lost", seconds=1.25)]
        run.rows[("Leased", "Pulling"), "kill reader"] = [row(reader="gone", owner="lost")]
        self.assertIn("| Leased/Pulling | gone 0.1 | 50% 1.2 |", table(run.rows))
        cells = {cell["fault"]: cell for cell in report([run])["cells"]}
        self.assertEqual((cells["cut"]["held"], cells["cut"]["recomputed"], cells["kill reader"]["reader_gone"]), (1, 1, 1))


@unittest.skipIf(WHY_NOT, str(WHY_NOT))
class FaultsTest(unittest.TestCase):
    def test_every_cell_once_over_zmq(self):
        self._every_cell_once("zmq")

    def test_every_cell_once_over_tcp(self):
        self._every_cell_once("tcp")

    def test_every_cell_once_over_shared_memory(self):
        self._every_cell_once("shm")

    def test_every_cell_once_over_ucx(self):
        self._every_cell_once("ucx")

    def _every_cell_once(self, wire):
        run = Run(BINARY, wire, lanes=16)
        asyncio.run(run.play(repeats=1, control=100, seed=int(time.time())))
        print(table(run.rows), flush=True)
        self.assertEqual(run.problems(), [])
        lasting = [state for state in STATES if state not in NEVER_LAST[wire]]
        self.assertEqual(set(run.rows), {(state, fault) for state in lasting for fault in FAULTS})
        for fault in FAULTS:
            self.assertEqual(run.rows[("Held", "Held"), fault][0]["reader"], "held", fault)
        self.assertGreaterEqual(sum(batch["held"] for batch in run.control), 99)

    def test_an_interrupted_run_leaves_nothing(self):
        process = subprocess.Popen([sys.executable, HARNESS, f"--binary={BINARY}", "--lanes=3", "--fault=stop owner"],
                                   stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL)
        names = f"{PREFIX}-{process.pid}-"
        deadline = time.monotonic() + 20
        while names not in self._namespaces() and time.monotonic() < deadline and process.poll() is None:
            time.sleep(0.05)
        time.sleep(1)
        process.send_signal(signal.SIGINT)
        self.assertNotEqual(process.wait(20), 0)
        self.assertNotIn(names, self._namespaces())

    def _namespaces(self):
        return subprocess.run(["ip", "netns", "list"], capture_output=True, text=True, check=False).stdout


class HelpTest(unittest.TestCase):
    def test_help(self):
        shown = subprocess.run([sys.executable, HARNESS, "--help"], capture_output=True, text=True, check=True).stdout
        self.assertIn("--repeats", shown)


if __name__ == "__main__":
    unittest.main()
