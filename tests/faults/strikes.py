"""The faults. Each begins and, after its time, ends; how long it lasts is measured against the lease."""

import asyncio
import os
import signal

from states import CUT

SLOWER = 3 if os.environ.get("BATON_SANITIZE") else 1
LEASE = 0.6 * SLOWER
LONG = 1.5 * LEASE
SHORT = 0.25 * LEASE
LOSSY = "-m statistic --mode random --probability 0.3 -j DROP"
RESET = "-p tcp -j REJECT --reject-with tcp-reset"


class Fault:
    """begin() is the fault, end() after `seconds` its end. What a state kept in place is undone when the fault begins."""

    def __init__(self, seconds=0.0):
        self.seconds = seconds

    async def begin(self, s):
        await s.lane.heal()

    async def end(self, s):
        pass


class Kill(Fault):
    def __init__(self, side, again):
        super().__init__()
        self.side, self.again = side, again

    async def begin(self, s):
        await s.party[self.side].kill()
        await s.lane.heal()
        if self.again:
            await s.restart(self.side)


class Stop(Fault):
    def __init__(self, side):
        super().__init__(LONG)
        self.side = side

    async def begin(self, s):
        s.party[self.side].signal(signal.SIGSTOP)
        await s.lane.heal()

    async def end(self, s):
        s.party[self.side].signal(signal.SIGCONT)


class LateRead(Stop):
    """The reader sleeps while the owner offers the rest, seals and takes its pages back: then it reads what is no more."""

    def __init__(self):
        super().__init__("reader")
        self.seconds = SHORT

    async def end(self, s):
        await s.lane.rules(reader=CUT)  # so that the Revoke does not overtake the reads
        s.revoke()
        await s.first["owner"].wait(lambda: s.first["owner"].state(s.key) in ("Held", "Lost"), 0.1)
        await super().end(s)
        await asyncio.sleep(0.05)
        await s.lane.heal()


class Network(Fault):
    def __init__(self, seconds, owner="", reader=""):
        super().__init__(seconds)
        self.rules = {"owner": owner, "reader": reader}

    async def begin(self, s):
        await s.lane.rules(**self.rules)

    async def end(self, s):
        await s.lane.heal()


class Command(Fault):
    def __init__(self, verb):
        super().__init__()
        self.verb = verb

    async def begin(self, s):
        getattr(s, self.verb)()
        await asyncio.sleep(0.01)
        await s.lane.heal()


FAULTS = {
    "none": Fault(),
    "kill owner": Kill("owner", False),
    "kill reader": Kill("reader", False),
    "restart owner": Kill("owner", True),
    "restart reader": Kill("reader", True),
    "stop owner": Stop("owner"),
    "stop reader": Stop("reader"),
    "cut": Network(LONG, CUT, CUT),
    "short cut": Network(SHORT, CUT, CUT),
    "deaf owner": Network(LONG, owner=CUT),
    "deaf reader": Network(LONG, reader=CUT),
    "lossy": Network(LEASE, LOSSY, LOSSY),
    "reset": Network(SHORT, RESET, RESET),
    "revoke": Command("revoke"),
    "cancel": Command("cancel"),
    "late read": LateRead(),
}
MEANING = {
    "none": "what kept the state is lifted, and nothing else happens",
    "kill owner": "kill -9", "kill reader": "kill -9",
    "restart owner": "kill -9, then the same name and address with a new epoch",
    "restart reader": "kill -9, then the same name and address with a new epoch",
    "stop owner": "SIGSTOP for 1.5 leases", "stop reader": "SIGSTOP for 1.5 leases",
    "cut": "nothing passes either way for 1.5 leases", "short cut": "nothing passes for a quarter of a lease",
    "deaf owner": "nothing reaches the owner for 1.5 leases", "deaf reader": "nothing reaches the reader for 1.5 leases",
    "lossy": "30% of packets are lost, both ways, for a lease", "reset": "every connection that sends is reset",
    "revoke": "OwnRevoke", "cancel": "PullCancel",
    "late read": "SIGSTOP of the reader for a quarter of a lease, in which the owner offers the rest, seals and, unheard, revokes",
}
