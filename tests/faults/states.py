"""The states of a handoff in which a fault strikes, and how each is reached and kept: with a one-way cut of the cable,
where nothing else would keep it. A state is (owner's, reader's), as fault_party reports them; "-" is not begun.

Reading is Pulling with reads posted. Fencing lasts only on wires that cannot drop a read at once.
"""

CUT = "-j DROP"


async def unbegun_opening(s):
    s.pull()
    await s.reader_in("Opening")


async def awaiting_unopened(s):
    s.begin()
    await s.owner_in("Awaiting")


async def awaiting_opening(s):
    await s.lane.rules(owner=CUT)
    s.begin()
    s.pull()
    await s.both_in("Awaiting", "Opening")


async def leased_opening(s):
    await s.lane.rules(reader=CUT)
    s.begin()
    s.pull()
    await s.both_in("Leased", "Opening")


async def leased_pulling(s, offers=4):
    s.begin()
    s.pull()
    s.compute(offers)
    await s.both_in("Leased", "Pulling", offers)


async def leased_reading(s):
    await leased_pulling(s, 2)
    await s.lane.rules(owner=CUT)
    s.compute(4)
    await s.both_in("Leased", "Reading", 4)


async def sealed_pulling(s):
    await leased_pulling(s)
    await s.lane.rules(reader=CUT)
    s.compute(8, seal=True)
    await s.owner_in("Sealed")


async def sealed_reading(s):
    await leased_pulling(s, 2)
    await s.lane.rules(owner=CUT)
    s.compute(8, seal=True)
    await s.both_in("Sealed", "Reading", 8)


async def sealed_confirming(s):
    await leased_pulling(s, 8)
    await s.lane.rules(owner=CUT)
    s.compute(8, seal=True)
    await s.both_in("Sealed", "Confirming")


async def held_confirming(s):
    await sealed_confirming(s)
    await s.lane.rules(reader=CUT)
    await s.lane.rules(owner="")
    await s.owner_in("Held")


async def lost_confirming(s):
    await sealed_confirming(s)
    s.revoke()
    await s.owner_in("Lost")


async def lost_pulling(s):
    await leased_pulling(s)
    await s.lane.rules(reader=CUT)
    s.revoke()
    await s.owner_in("Lost")


async def lost_reading(s):
    await leased_reading(s)
    await s.lane.rules(reader=CUT)
    s.revoke()
    await s.owner_in("Lost")


async def lost_opening(s):
    await leased_opening(s)
    s.revoke()
    await s.owner_in("Lost")


async def leased_lost(s):
    await leased_pulling(s)
    await s.lane.rules(owner=CUT)
    s.cancel()
    await s.reader_in("Lost")


async def sealed_lost(s):
    await sealed_confirming(s)
    s.cancel()
    await s.reader_in("Lost")


async def leased_fencing(s):
    await leased_reading(s)
    s.cancel()
    await s.reader_in("Fencing")


async def sealed_fencing(s):
    await sealed_reading(s)
    s.cancel()
    await s.reader_in("Fencing")


async def lost_fencing(s):
    await lost_reading(s)
    s.cancel()
    await s.reader_in("Fencing")


async def held_held(s):
    s.begin()
    s.pull()
    s.compute(8, seal=True)
    await s.both_in("Held", "Held")


STATES = {
    ("-", "Opening"): unbegun_opening,
    ("Awaiting", "-"): awaiting_unopened,
    ("Awaiting", "Opening"): awaiting_opening,
    ("Leased", "Opening"): leased_opening,
    ("Leased", "Pulling"): leased_pulling,
    ("Leased", "Reading"): leased_reading,
    ("Leased", "Fencing"): leased_fencing,
    ("Leased", "Lost"): leased_lost,
    ("Sealed", "Pulling"): sealed_pulling,
    ("Sealed", "Reading"): sealed_reading,
    ("Sealed", "Confirming"): sealed_confirming,
    ("Sealed", "Fencing"): sealed_fencing,
    ("Sealed", "Lost"): sealed_lost,
    ("Held", "Confirming"): held_confirming,
    ("Held", "Held"): held_held,
    ("Lost", "Opening"): lost_opening,
    ("Lost", "Pulling"): lost_pulling,
    ("Lost", "Reading"): lost_reading,
    ("Lost", "Confirming"): lost_confirming,
    ("Lost", "Fencing"): lost_fencing,
}
# Fencing is over at once on wires that can drop a read, as these all can; shared memory has been read before a cut of
# the cable is noticed.
FENCING = [state for state in STATES if state[1] == "Fencing"]
NEVER_LAST = {"zmq": FENCING, "tcp": FENCING, "ucx": FENCING,
              "shm": FENCING + [state for state in STATES if state[1] == "Reading"]}
