"""./baton with programs that stand in for cmake, ninja and baton-ctl: which model it hands over, and what Ctrl-C leaves."""

import os
import shutil
import signal
import subprocess
import tempfile
import time
import unittest

SOURCE = os.environ["BATON_SOURCE_DIR"]


def wait_for(condition, what, seconds=20):
    deadline = time.monotonic() + seconds
    while not condition():
        if time.monotonic() > deadline:
            raise TimeoutError(f"waited {seconds} s for {what}")
        time.sleep(0.02)


class LauncherTest(unittest.TestCase):
    def setUp(self):
        self.folder = tempfile.mkdtemp()
        self.addCleanup(shutil.rmtree, self.folder)
        shutil.copy(os.path.join(SOURCE, "baton"), self.folder)
        self.script("cmake/packages.txt", "")
        self.script("bin/cmake", "exit 0")
        self.script("bin/ninja", "exit 0")
        self.script("build/release/bin/baton-ctl", 'echo "ctl $*"')
        path = os.path.join(self.folder, "bin") + ":" + os.environ["PATH"]
        self.environment = dict(os.environ, PATH=path, XDG_CACHE_HOME=os.path.join(self.folder, "cache"))

    def script(self, name, text):
        path = os.path.join(self.folder, name)
        os.makedirs(os.path.dirname(path), exist_ok=True)
        with open(path, "w") as file:
            file.write(f"#!/bin/sh\n{text}\n" if text else "")
        os.chmod(path, 0o755)

    def start(self, *words):
        return subprocess.Popen([os.path.join(self.folder, "baton"), *words], env=self.environment, text=True,
                                stdin=subprocess.DEVNULL, stdout=subprocess.PIPE, stderr=subprocess.STDOUT)

    def test_the_default_model_has_the_name_it_is_served_by(self):
        self.script("cache/baton/models/SmolLM2-135M-Instruct.Q4_1.gguf", "downloaded under its old name")
        up = self.start("up", "--detach")
        said, _ = up.communicate(timeout=60)
        self.assertEqual(up.returncode, 0, said)
        self.assertIn(f"ctl up --model {self.folder}/cache/baton/models/smollm2-135m-instruct.gguf --detach", said)

    def test_ctrl_c_stops_what_a_step_started(self):
        self.script("bin/ninja", f'sleep 300 & echo $! >{self.folder}/pid.new; mv {self.folder}/pid.new {self.folder}/pid; wait')
        up = self.start("up")
        wait_for(lambda: os.path.exists(f"{self.folder}/pid"), "the build")
        with open(f"{self.folder}/pid") as file:
            compiler = int(file.read())
        up.send_signal(signal.SIGINT)
        said, _ = up.communicate(timeout=30)
        self.assertEqual(up.returncode, 130, said)
        wait_for(lambda: not os.path.exists(f"/proc/{compiler}"), "the end of the compiler")


if __name__ == "__main__":
    unittest.main()
