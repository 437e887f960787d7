"""One handoff between two processes, brought to a state and struck by a fault; then it goes on, ends, and is looked over."""

import asyncio
import sys
import time

from lane import ADDRESS, PORT, Party
from strikes import LEASE, LONG, SLOWER

HARD_MS = 2500 * SLOWER  # both sides' deadline of a handoff
END_WITHIN = HARD_MS / 1000 + LONG + 1.5  # of the fault; more is a hang
AFTER_TRIES = 4
FINAL = ("Held", "Lost")


class Missed(Exception):
    """The state was not reached, or was over when the fault struck."""


class Story:
    def __init__(self, lane, binary, flags):
        self.lane, self.binary = lane, binary
        self.flags = [f"--lease={LEASE}s", *flags]
        self.party, self.first, self.everyone = {}, {}, []
        self.key = (1, 1)
        self.wrong = self.late = self.leaked = self.caught = 0
        self.hangs, self.broken = [], []

    # What the world does.
    async def restart(self, side):
        party = Party(side)
        self.everyone.append(party)
        self.party[side] = party
        await party.start(self.lane, self.binary, self.flags)

    async def start(self):
        await asyncio.gather(self.restart("owner"), self.restart("reader"))
        self.first = dict(self.party)
        self.epochs = {side: party.up["epoch"] for side, party in self.party.items()}

    def begin(self, owner=None, key=None, reader_epoch=None):
        (owner or self.first["owner"]).send("begin", *(key or self.key), reader_epoch or self.epochs["reader"], HARD_MS)

    def pull(self, reader=None, key=None, owner_epoch=None):
        (reader or self.first["reader"]).send("pull", *(key or self.key), f"tcp://{ADDRESS['owner']}:{PORT}",
                                              owner_epoch or self.epochs["owner"], HARD_MS)

    def compute(self, steps, seal=False):
        self.first["owner"].send("compute", *self.key, steps, int(seal))

    def revoke(self):
        self.first["owner"].send("revoke", *self.key)

    def cancel(self):
        self.first["reader"].send("cancel", *self.key)

    # What states wait for.
    async def owner_in(self, state):
        if not await self.first["owner"].wait(lambda: self.first["owner"].state(self.key) == state, 2):
            raise Missed(f"owner {self.first['owner'].state(self.key)}, not {state}")

    async def reader_in(self, state, offers=None):
        party = self.first["reader"]

        def there():
            return party.state(self.key) == state and (offers is None or party.last(self.key, "offers") == offers)

        if not await party.wait(there, 2):
            raise Missed(f"reader {party.state(self.key)}, not {state}")

    async def both_in(self, owner, reader, offers=None):
        await self.owner_in(owner)
        await self.reader_in(reader, offers)

    async def whole_handoff(self, key, seconds):
        """A handoff of the processes that live now; whether it was held within the time."""
        owner, reader = self.party["owner"], self.party["reader"]
        self.begin(owner, key, reader.up["epoch"])
        self.pull(reader, key, owner.up["epoch"])
        owner.send("compute", *key, 8, 1)
        await reader.wait(lambda: reader.state(key) in FINAL, seconds)
        await owner.wait(lambda: owner.state(key) in FINAL, seconds)
        return reader.state(key) == "Held"

    async def strike(self, fault):
        """The fault and, meanwhile, the world going on. Returns when it began."""
        owner, reader = self.first["owner"], self.first["reader"]
        struck = time.monotonic()
        await fault.begin(self)
        if owner.alive:
            if self.key not in owner.history:
                self.begin()
            self.compute(8, seal=True)
        if reader.alive and self.key not in reader.history:
            self.pull()
        again = any(self.party[side] is not self.first[side] for side in self.party)
        if again:
            await self.next_attempt()
        await asyncio.sleep(max(0.0, fault.seconds - (time.monotonic() - struck)))
        await fault.end(self)
        self.next_due = not again
        return struck

    async def finish(self, struck):
        """Until both ends have ended it; how long after the fault struck."""
        for side, party in self.first.items():
            if not party.alive or not await party.ask(2):  # what was sent before has then been done
                continue
            if not await party.wait(lambda p=party: not p.alive or p.state(self.key) in (*FINAL, "-"),
                                    struck + END_WITHIN - time.monotonic()):
                self.hangs.append(f"{side} still {party.state(self.key)}")
        ends = [party.history[self.key][-1][0] for party in self.first.values() if party.state(self.key) in FINAL]
        return max([0.0, *(end - struck for end in ends)])

    async def next_attempt(self):
        """The router's next attempt at the stream: one must be held again."""
        if not all(party.alive for party in self.party.values()):
            return
        began = time.monotonic()
        for attempt in range(2, 2 + AFTER_TRIES):
            if await self.whole_handoff((1, attempt), HARD_MS / 1000 + 1):
                self.after = time.monotonic() - began
                return
        self.hangs.append("no later attempt was held")

    async def look_over(self):
        """Nothing left, nothing wrong, in each process that lives."""
        for party in self.everyone:
            if not party.alive:
                if not party.killed:
                    self.broken.append(f"the {party.side} died by itself, {party.process.returncode}")
                continue
            until = time.monotonic() + 3
            while (status := await party.ask(2)) and time.monotonic() < until:
                if status["free"] == status["total"] and status["records"] == status["pulls"] == status["flying"] == 0:
                    break
                await asyncio.sleep(0.05)
            if status is None:
                self.hangs.append(f"the {party.side} does not answer")
                continue
            self.leaked += status["total"] - status["free"] + status["records"] + status["pulls"]
            self.wrong += status["wrong"]
            self.late += status["late"]
            self.caught += status["checksum"]
            if not status["healthy"]:
                self.broken.append(f"the {party.side} is unhealthy")
            if party.side == "reader":
                outcomes = sum(party.state(key) in FINAL for key in party.history)
                if status["attended"] != outcomes:
                    self.broken.append(f"{outcomes} pulls ended, {status['attended']} sequences attended to")

    def outcomes(self):
        """How the handoff ended at each end, "gone" with its process."""
        result = {}
        for side, party in self.first.items():
            state = party.state(self.key)
            result[side] = state.lower() if state in FINAL else "gone" if not party.alive else "none" if state == "-" else "hung"
        if result["reader"] == "held" and result["owner"] not in ("held", "gone"):
            self.broken.append(f"held by the reader, {result['owner']} by the owner")
        return result

    def findings(self):
        pulls = [states for party in self.everyone for states in party.history.values()]
        fenced = sum(any(state == "Fencing" for _, state, _ in states) for states in pulls)
        return {"wrong": self.wrong, "late": self.late, "leaked": self.leaked, "hangs": self.hangs, "broken": self.broken,
                "fenced": fenced, "caught": self.caught}

    def tell(self, struck):
        """What happened, for whoever looks for the cause."""
        events = [(t - struck, party.side, key, state, event.get("why", "")) for party in self.everyone
                  for key, states in party.history.items() for t, state, event in states]
        for event in sorted(events):
            print("  %+.3f s %s %s %s %s" % event, file=sys.stderr)

    async def stop(self):
        for party in self.everyone:
            if party.process is not None and party.process.returncode is None:
                await party.kill()
            await party.reader


async def run_story(lane, binary, flags, state, prepare, fault):
    """A row of the result, or Missed."""
    s = Story(lane, binary, flags)
    try:
        await lane.heal()
        await s.start()
        if not await s.whole_handoff((2, 1), 5):
            raise Missed("the handoff before it was not held")
        await prepare(s)
        struck = await s.strike(fault)
        seconds = await s.finish(struck)
        was = tuple(s.first[side].state_at(s.key, struck) for side in ("owner", "reader"))
        if was != state:
            raise Missed(f"it was {was[0]}/{was[1]} when the fault struck")
        if s.next_due:
            await s.next_attempt()
        await s.look_over()
        ended = s.outcomes()
        if lane.verbose and (s.wrong or s.late or s.leaked or s.hangs or s.broken):
            s.tell(struck)
        return {"owner": ended["owner"], "reader": ended["reader"], "seconds": seconds, "after": getattr(s, "after", None),
                **s.findings()}
    finally:
        await s.stop()


async def run_control(lane, binary, flags, handoffs):
    """Handoffs one after the other on a whole cable; a row as above with the number held."""
    s = Story(lane, binary, flags)
    try:
        await lane.heal()
        await s.start()
        held, longest = 0, 0.0
        for stream in range(3, 3 + handoffs):
            began = time.monotonic()
            held += await s.whole_handoff((stream, 1), 5)
            longest = max(longest, time.monotonic() - began)
            await asyncio.sleep(0.1)  # its pages stay in use for a while
        await s.look_over()
        return {"n": handoffs, "held": held, "seconds": longest, **s.findings()}
    finally:
        await s.stop()
