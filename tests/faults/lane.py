"""Two network namespaces joined by a cable, with rules for what gets through, and processes in them."""

import asyncio
import json
import os
import re
import signal
import subprocess
import sys
import time

SIDES = ("owner", "reader")
ADDRESS = {"owner": "10.77.0.1", "reader": "10.77.0.2"}
PORT = 7000
PREFIX = "batonfault"
# Times here are a tenth of production's, so TCP's shortest retransmission (200 ms) is too.
CABLE = """
ip netns add {o} && ip netns add {r} &&
ip link add veth0 netns {o} type veth peer name veth0 netns {r} &&
ip -n {o} addr add 10.77.0.1/30 dev veth0 && ip -n {r} addr add 10.77.0.2/30 dev veth0 &&
ip -n {o} link set lo up && ip -n {r} link set lo up &&
ip -n {o} link set veth0 up && ip -n {r} link set veth0 up &&
ip -n {o} route change 10.77.0.0/30 dev veth0 rto_min 20ms &&
ip -n {r} route change 10.77.0.0/30 dev veth0 rto_min 20ms &&
ip netns exec {o} iptables -S >/dev/null && ip netns exec {r} iptables -S >/dev/null
"""


def remove(*names):
    for name in names:
        subprocess.run(["ip", "netns", "del", name], stderr=subprocess.DEVNULL, check=False)


def remove_leftovers():
    """Of runs that were killed: their processes end with them, their namespaces don't."""
    listed = subprocess.run(["ip", "netns", "list"], capture_output=True, text=True, check=False).stdout
    for name in re.findall(rf"^({PREFIX}-(\d+)-\S+)", listed, re.MULTILINE):
        if not os.path.exists(f"/proc/{name[1]}"):
            remove(name[0])


def why_not():
    """None if namespaces and rules can be made here, else the reason."""
    names = [f"{PREFIX}-{os.getpid()}-try{side[0]}" for side in SIDES]
    try:
        made = subprocess.run(["sh", "-ec", CABLE.format(o=names[0], r=names[1])], capture_output=True, text=True, check=False)
        if made.returncode == 0:
            return None
        return "no network namespaces or iptables here: " + (made.stderr.strip().splitlines() or ["?"])[-1]
    except OSError as error:
        return f"no network namespaces here: {error}"
    finally:
        remove(*names)


class Lane:
    verbose = False  # whether processes' logs are shown

    def __init__(self, number):
        self.names = {side: f"{PREFIX}-{os.getpid()}-{number}{side[0]}" for side in SIDES}
        self.shells = {}

    async def start(self):
        made = await asyncio.create_subprocess_exec("sh", "-ec", CABLE.format(o=self.names["owner"], r=self.names["reader"]))
        if await made.wait() != 0:
            raise RuntimeError("no lane")
        for side in SIDES:
            self.shells[side] = await self.spawn(side, "sh")

    async def spawn(self, side, *command):
        return await asyncio.create_subprocess_exec(
            "ip", "netns", "exec", self.names[side], *command, start_new_session=True,
            stdin=asyncio.subprocess.PIPE, stdout=asyncio.subprocess.PIPE,
            stderr=None if Lane.verbose else asyncio.subprocess.DEVNULL)

    def stop(self):
        for shell in self.shells.values():
            if shell.returncode is None:
                shell.kill()
        remove(*self.names.values())

    async def rules(self, **by_side):
        """Replaces the rules for what reaches owner= and reader=; "" lets everything through."""
        async def put(side, rule):
            shell = self.shells[side]
            add = f"-A INPUT {rule}\\n" if rule else ""  # one table replaces the other with nothing getting through between
            shell.stdin.write(f"printf '*filter\\n{add}COMMIT\\n' | iptables-restore; echo done $?\n".encode())
            line = await shell.stdout.readline()
            if line.split() != [b"done", b"0"]:
                raise RuntimeError(f"iptables at {side}: {rule}: {line}")
        await asyncio.gather(*(put(side, rule) for side, rule in by_side.items()))

    async def heal(self):
        await self.rules(owner="", reader="")


class Party:
    """A fault_party process: one life of an owner or a reader."""

    def __init__(self, side):
        self.side, self.process, self.up, self.status = side, None, None, None
        self.history = {}  # (stream, attempt) -> [(time, state, event)]
        self.alive, self.killed = False, False
        self.news = asyncio.Event()

    async def start(self, lane, binary, flags):
        self.process = await lane.spawn(self.side, binary, f"--bind=tcp://{ADDRESS[self.side]}:{PORT}",
                                        f"--name={self.side}", *flags)
        self.alive = True
        self.reader = asyncio.ensure_future(self._read())
        if not await self.wait(lambda: self.up, 10):
            raise RuntimeError(f"the {self.side} did not start")

    async def _read(self):
        while line := await self.process.stdout.readline():
            if not line.startswith(b"{"):  # a library's word
                if Lane.verbose:
                    print(f"{self.side}: {line.decode(errors='replace').strip()}", file=sys.stderr)
                continue
            event = json.loads(line)
            kind = event.pop("e")
            if kind == "up":
                self.up = event
            elif kind == "status":
                self.status = event
            else:
                key = (event["stream"], event["attempt"])
                self.history.setdefault(key, []).append((event["t"], event["state"], event))
            self.news.set()
        self.alive = False
        self.news.set()

    def send(self, *words):
        if self.alive:
            self.process.stdin.write((" ".join(str(word) for word in words) + "\n").encode())

    def state(self, key):
        return self.history[key][-1][1] if key in self.history else "-"

    def state_at(self, key, when):
        return next((state for t, state, _ in reversed(self.history.get(key, [])) if t <= when), "-")

    def last(self, key, name):
        return self.history[key][-1][2].get(name) if key in self.history else None

    async def wait(self, condition, seconds):
        until = time.monotonic() + seconds
        while not condition():
            self.news.clear()
            try:
                await asyncio.wait_for(self.news.wait(), until - time.monotonic())
            except asyncio.TimeoutError:
                return bool(condition())
        return True

    def signal(self, number):
        if self.process.returncode is None:
            self.process.send_signal(number)

    async def kill(self):
        self.killed = self.alive
        self.signal(signal.SIGKILL)
        await self.process.wait()
        self.alive = False

    async def ask(self, seconds):
        """Its status, or None if it does not answer in time."""
        self.status = None
        self.send("status")
        await self.wait(lambda: self.status or not self.alive, seconds)
        return self.status
