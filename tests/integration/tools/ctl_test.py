"""baton-ctl with processes that stand in for the router and the workers: start, status, logs, chat, deaths, and a clean end."""

import glob
import json
import os
import shutil
import signal
import subprocess
import tempfile
import time
import unittest

HERE = os.path.dirname(os.path.abspath(__file__))


def wait_for(condition, what, seconds=20):
    deadline = time.monotonic() + seconds
    while not condition():
        if time.monotonic() > deadline:
            raise TimeoutError(f"waited {seconds} s for {what}")
        time.sleep(0.02)


def alive(pid):
    try:
        with open(f"/proc/{pid}/stat") as file:
            return file.read().rsplit(")", 1)[1].split()[0] != "Z"
    except OSError:
        return False


class CtlTest(unittest.TestCase):
    def setUp(self):
        self.folder = tempfile.mkdtemp()
        self.addCleanup(shutil.rmtree, self.folder)
        self.bin = os.path.join(self.folder, "bin")
        self.state = os.path.join(self.folder, "state")
        os.makedirs(self.bin)
        os.makedirs(self.state)
        for role in ("router", "prefill", "decode"):
            shutil.copy(os.path.join(HERE, "fake_process.py"), os.path.join(self.bin, "baton-" + role))
            os.chmod(os.path.join(self.bin, "baton-" + role), 0o755)
        shutil.copy(os.path.join(os.environ["BATON_BIN_DIR"], "baton-ctl"), self.bin)
        self.model = os.path.join(self.folder, "model.gguf")
        open(self.model, "w").close()
        self.environment = dict(os.environ, XDG_STATE_HOME=self.state)
        self.addCleanup(lambda: self.ctl("down", "--grace", "1"))

    def ctl(self, *words, **options):
        return subprocess.run([os.path.join(self.bin, "baton-ctl"), *words], env=self.environment, text=True, timeout=60,
                              stdin=options.pop("stdin", subprocess.DEVNULL), stdout=subprocess.PIPE, stderr=subprocess.PIPE,
                              **options)

    def up(self, *words):
        return self.ctl("up", "--model", self.model, "--port", "0", "--detach", *words)

    def cluster(self):
        return json.loads(self.ctl("status", "--json").stdout)["cluster"]

    def process(self, name):
        return next(process for process in self.cluster()["processes"] if process["name"] == name)

    def test_up_shows_the_endpoints_and_down_leaves_nothing(self):
        up = self.up("--prefill", "2", "--decode", "1")
        self.assertEqual(up.returncode, 0, up.stderr)
        for expected in ("ready after", "OpenAI API:  http://127.0.0.1:", "curl -N", "prefill-1", "decode-0"):
            self.assertIn(expected, up.stdout)
        pids = [process["id"]["pid"] for process in self.cluster()["processes"]]
        self.assertEqual(len(pids), 4)
        down = self.ctl("down")
        self.assertEqual(down.returncode, 0, down.stderr)
        self.assertFalse([pid for pid in pids if alive(pid)])
        self.assertEqual(os.listdir(self.state), [])

    def test_a_second_up_says_that_it_runs_already(self):
        self.assertEqual(self.up().returncode, 0)
        again = self.up()
        self.assertEqual(again.returncode, 0)
        self.assertIn("running already", again.stdout)
        other = self.up("--decode", "3")
        self.assertEqual(other.returncode, 1)
        self.assertIn("./baton down first", other.stderr)

    def test_two_clusters_by_name(self):
        self.assertEqual(self.up().returncode, 0)
        self.assertEqual(self.up("--name", "second").returncode, 0)
        self.assertEqual(self.ctl("down", "--name", "second").returncode, 0)
        self.assertEqual(self.ctl("status").returncode, 0)
        self.assertEqual(self.ctl("status", "--name", "second").returncode, 3)

    def test_status_and_logs(self):
        self.assertEqual(self.ctl("status").returncode, 3)
        self.assertEqual(self.ctl("logs").returncode, 3)
        self.assertEqual(self.up().returncode, 0)
        table = self.ctl("status").stdout
        for expected in ("PROCESS", "QUARANTINED", "prefill-0", "decode-1", "healthy"):
            self.assertIn(expected, table)
        self.assertIn("decode-1   | decode-1 starts", self.ctl("logs").stdout)
        self.assertEqual(self.ctl("logs", "router").stdout, "router starts\n")
        unknown = self.ctl("logs", "decode-9")
        self.assertEqual(unknown.returncode, 1)
        self.assertIn("there are decode-0, decode-1, prefill-0, router, supervisor", unknown.stderr)

    def test_streams_and_migrate(self):
        self.assertEqual(self.ctl("streams").returncode, 3)
        self.assertEqual(self.ctl("migrate", "aa", "decode-1").returncode, 3)
        self.assertEqual(self.up().returncode, 0)
        table = self.ctl("streams").stdout
        for expected in ("MOVABLE", "a" * 32, "decode-0", "yes", "has not begun to decode"):
            self.assertIn(expected, table)
        self.assertEqual(len(json.loads(self.ctl("streams", "--json").stdout)["streams"]), 2)
        moved = self.ctl("migrate", "aaa", "decode-1/0")
        self.assertEqual(moved.stdout, f"moved {'a' * 32} from decode-0/0 to decode-1/0 in 1.5 ms\n", moved.stderr)
        for words, expected in ((("a", "decode-1"), "several streams begin with 'a'"), (("b", "decode-1"), "./baton streams lists"),
                                (("aaa", "nowhere"), "not moved: no worker is called 'nowhere'"), (("aaa",), "./baton migrate --help")):
            with self.subTest(words=words):
                failed = self.ctl("migrate", *words)
                self.assertEqual(failed.returncode, 1)
                self.assertIn(expected, failed.stderr)

    def test_chat(self):
        self.assertIn("./baton up", self.ctl("chat", "hello").stderr)
        self.assertEqual(self.up().returncode, 0)
        self.assertEqual(self.ctl("chat", "hello").stdout, "you said hello €\n")
        broken = self.ctl("chat", "break off")
        self.assertEqual((broken.returncode, broken.stdout), (1, "you said break off €\n"))
        self.assertIn("broke off", broken.stderr)
        failed = self.ctl("chat", "fail")
        self.assertEqual(failed.returncode, 1)
        self.assertIn("I was told to fail (HTTP 400)", failed.stderr)
        self.assertEqual(self.interactive("one\ntwo\n"), "you said one €\nyou said two €\n")

    def interactive(self, text):
        return subprocess.run([os.path.join(self.bin, "baton-ctl"), "chat"], env=self.environment, input=text, text=True,
                              timeout=60, stdout=subprocess.PIPE, check=True).stdout

    def test_a_worker_that_dies_at_once_is_shown_with_its_last_words(self):
        self.environment["FAKE_DIE"] = "decode-1"
        up = self.up()
        self.assertEqual(up.returncode, 1)
        self.assertIn("decode-1 exited with 4 before it was ready", up.stderr)
        self.assertIn("the model file is broken", up.stderr)
        self.assertIn("the model file is broken", self.ctl("logs", "decode-1").stdout)

    def test_a_killed_worker_is_started_again(self):
        self.assertEqual(self.up().returncode, 0)
        before = self.process("decode-0")
        os.kill(before["id"]["pid"], signal.SIGKILL)
        wait_for(lambda: self.process("decode-0")["restarts"] == 1 and self.process("decode-0")["http"], "the restart")
        after = self.process("decode-0")
        self.assertNotEqual(after["id"]["pid"], before["id"]["pid"])
        self.assertIn("killed by signal 9", after["last_exit"])
        said = self.ctl("logs", "supervisor").stdout
        self.assertIn("decode-0 was killed by signal 9", said)
        self.assertEqual(self.ctl("chat", "still there?").returncode, 0)

    def test_a_killed_supervisor_takes_its_processes_along(self):
        self.environment["FAKE_DEAF"] = "decode-0"
        self.assertEqual(self.up().returncode, 0)
        cluster = self.cluster()
        pids = {process["name"]: process["id"]["pid"] for process in cluster["processes"]}
        os.kill(cluster["supervisor"]["pid"], signal.SIGKILL)
        wait_for(lambda: not alive(pids["router"]) and not alive(pids["prefill-0"]), "the processes to end by themselves")
        self.assertTrue(alive(pids["decode-0"]))
        self.assertEqual(self.ctl("down", "--grace", "1").returncode, 0)
        self.assertFalse(alive(pids["decode-0"]))
        self.assertEqual(os.listdir(self.state), [])

    def test_a_deaf_worker_is_killed_after_the_grace_time(self):
        self.environment["FAKE_DEAF"] = "decode-0"
        self.assertEqual(self.up().returncode, 0)
        pid = self.process("decode-0")["id"]["pid"]
        down = self.ctl("down", "--grace", "1")
        self.assertEqual(down.returncode, 0)
        self.assertIn("decode-0 did not end in time: killed", down.stdout)
        self.assertFalse(alive(pid))

    def test_the_foreground_ends_with_ctrl_c(self):
        command = [os.path.join(self.bin, "baton-ctl"), "up", "--model", self.model, "--port", "0"]
        up = subprocess.Popen(command, env=self.environment, text=True, stdout=subprocess.PIPE, stderr=subprocess.STDOUT)
        for line in up.stdout:
            if "Ctrl-C" in line:
                break
        pids = [process["id"]["pid"] for process in self.cluster()["processes"]]
        up.send_signal(signal.SIGINT)
        rest, _ = up.communicate(timeout=30)
        self.assertEqual(up.returncode, 0, rest)
        self.assertIn("draining", rest)
        self.assertFalse([pid for pid in pids if alive(pid)])
        self.assertEqual(os.listdir(self.state), [])

    def test_the_foreground_stops_what_a_killed_supervisor_left_and_fails(self):
        self.environment["FAKE_DEAF"] = "decode-0"
        command = [os.path.join(self.bin, "baton-ctl"), "up", "--model", self.model, "--port", "0"]
        up = subprocess.Popen(command, env=self.environment, text=True, stdout=subprocess.PIPE, stderr=subprocess.STDOUT)
        for line in up.stdout:
            if "Ctrl-C" in line:
                break
        cluster = self.cluster()
        os.kill(cluster["supervisor"]["pid"], signal.SIGKILL)
        rest, _ = up.communicate(timeout=30)
        self.assertEqual(up.returncode, 1, rest)
        self.assertIn("the supervisor was killed", rest)
        self.assertFalse([process["id"]["pid"] for process in cluster["processes"] if alive(process["id"]["pid"])])
        self.assertEqual(os.listdir(self.state), [])

    def test_up_stops_what_is_left_before_it_looks_at_the_port(self):
        self.environment["FAKE_DEAF"] = "router"
        self.assertEqual(self.up().returncode, 0)
        cluster = self.cluster()
        port = self.process("router")["http"].rsplit(":", 1)[1]
        os.kill(cluster["supervisor"]["pid"], signal.SIGKILL)
        wait_for(lambda: not alive(cluster["supervisor"]["pid"]), "the supervisor's end")
        dead = self.ctl("status", "--json")
        self.assertEqual(dead.returncode, 3)
        self.assertEqual(json.loads(dead.stdout)["cluster"]["supervisor"], cluster["supervisor"])
        again = self.ctl("up", "--model", self.model, "--port", port, "--detach")
        self.assertEqual(again.returncode, 0, again.stderr)

    def test_a_router_that_dies_comes_back_on_its_port(self):
        self.assertEqual(self.up().returncode, 0)
        before = self.process("router")
        os.kill(before["id"]["pid"], signal.SIGKILL)
        wait_for(lambda: self.process("router")["restarts"] == 1 and self.process("router")["http"], "the restart")
        self.assertEqual(self.process("router")["http"], before["http"])

    def test_a_folder_that_others_may_write_to_is_not_trusted(self):
        self.assertEqual(self.up().returncode, 0)
        root = os.path.join(self.state, "baton")
        os.chmod(root, 0o777)
        for words in (["down"], ["status"], ["logs"], ["chat", "hello"], ["up", "--model", self.model, "--name", "other"]):
            with self.subTest(words=words):
                refused = self.ctl(*words)
                self.assertEqual(refused.returncode, 1)
                self.assertIn("others may write to " + root, refused.stderr)
        os.chmod(root, 0o700)
        self.assertEqual(self.ctl("down").returncode, 0)
        self.assertEqual(os.listdir(self.state), [])

    def test_two_ups_at_once_make_one_cluster(self):
        command = [os.path.join(self.bin, "baton-ctl"), "up", "--model", self.model, "--port", "0", "--detach"]
        ups = [subprocess.Popen([*command, "--decode", str(count)], env=self.environment, stdout=subprocess.DEVNULL,
                                stderr=subprocess.DEVNULL) for count in (1, 3)]
        self.assertEqual(sorted(up.wait(timeout=60) for up in ups), [0, 1])
        decodes = sum(process["role"] == "decode" for process in self.cluster()["processes"])
        again = self.up("--decode", str(decodes))
        self.assertIn("running already", again.stdout + again.stderr)
        self.assertEqual(again.returncode, 0, again.stderr)

    def test_a_model_of_small_context_is_ready_too(self):
        self.environment["FAKE_SMALL"] = "yes"
        self.assertEqual(self.up().returncode, 0)

    def test_ctrl_c_during_the_first_request(self):
        self.environment["FAKE_SILENT"] = "yes"
        command = [os.path.join(self.bin, "baton-ctl"), "up", "--model", self.model, "--port", "0"]
        up = subprocess.Popen(command, env=self.environment, text=True, stdout=subprocess.PIPE, stderr=subprocess.STDOUT)
        wait_for(lambda: self.ctl("status").returncode == 0 and self.process("decode-1")["http"], "the workers")
        start = time.monotonic()
        up.send_signal(signal.SIGINT)
        rest, _ = up.communicate(timeout=50)
        self.assertEqual(up.returncode, 130, rest)
        self.assertLess(time.monotonic() - start, 30)
        self.assertEqual(os.listdir(self.state), [])

    def test_logs_follow_with_the_name_before_each_line(self):
        self.assertEqual(self.up().returncode, 0)
        logs = subprocess.Popen([os.path.join(self.bin, "baton-ctl"), "logs", "-f"], env=self.environment, text=True,
                                stdout=subprocess.PIPE)
        with open(glob.glob(self.state + "/baton/*/default/router.log")[0], "a") as file:
            file.write("one\ntwo\n")
        seen = []
        while not seen or "two" not in seen[-1]:
            seen.append(logs.stdout.readline())
        self.assertEqual([line.split(" | ")[0].strip() for line in seen[-2:]], ["router", "router"])
        self.assertEqual(self.ctl("down").returncode, 0)
        logs.communicate(timeout=20)
        self.assertEqual(logs.returncode, 0)

    def test_bad_options_say_what_to_do(self):
        for words, expected in ((["--decode", "0"], "--decode must be a whole number from 1"), (["--frob"], "unknown option --frob"),
                                (["--port", "99999"], "--port"), (["--listen", "nowhere"], "IPv4"), (["--name", "a/b"], "--name")):
            with self.subTest(words=words):
                up = self.up(*words)
                self.assertEqual(up.returncode, 1)
                self.assertIn(expected, up.stderr)
        missing = self.ctl("up", "--model", os.path.join(self.folder, "none.gguf"))
        self.assertIn("cannot read the model", missing.stderr)

    def test_a_taken_port_is_found_out_before_the_start(self):
        self.assertEqual(self.up().returncode, 0)
        port = self.process("router")["http"].rsplit(":", 1)[1]
        other = self.ctl("up", "--model", self.model, "--name", "other", "--port", port)
        self.assertEqual(other.returncode, 1)
        self.assertIn("choose another with --port", other.stderr)


if __name__ == "__main__":
    unittest.main()
