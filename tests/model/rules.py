"""What is checked, as data: the configurations of the whole protocol, the points that must be reached, and the rules that are
taken away, each with the faults that bring its lack to light."""

SQUARE = dict(HANDOFFS=2, OWNERS=2, READERS=2, UNITS=1)
PAIR = dict(TRIES=2)

# name: (what it covers, flags, look for cycles too)
CONFIGS = {
    "calm": ("no faults; two handoffs of two offers between two owners and two readers: all are held",
             dict(SQUARE, UNITS=2), True),
    "square-crashes": ("two handoffs between two owners and two readers, sharing an owner's pages or taking over a reader's; two "
                       "losses, a crash and restart of each side", dict(SQUARE, LOSSES=2, OWNER_CRASHES=1, READER_CRASHES=1), False),
    "square-timers": ("the same; two losses, a timer that is late or early, a revoke",
                      dict(SQUARE, LOSSES=2, DELAYS=1, REVOKES=1), False),
    "pair-all": ("one id tried twice by the same two, whatever is left of the first; two offers; two losses, a timer, a revoke, a "
                 "crash and restart of each side",
                 dict(PAIR, LOSSES=2, DELAYS=1, REVOKES=1, OWNER_CRASHES=1, READER_CRASHES=1), False),
    "pair-repeats": ("the same; two losses, a repeat, a crash and restart of each side",
                     dict(PAIR, LOSSES=2, DUPS=1, OWNER_CRASHES=1, READER_CRASHES=1), True),
    "pair-ends": ("the same; a loss, a timer, an engine that stops, a crash for good",
                  dict(PAIR, LOSSES=1, DELAYS=1, STALLS=1, DEATHS=1), True),
    "intruder": ("one handoff; damaged bytes, a forged Confirm, a late Renew, a revoke, a cancel, two losses, a repeat, a timer",
                 dict(LOSSES=2, DUPS=1, DELAYS=1, DAMAGES=1, FORGERIES=1, RENEWS=1, REVOKES=1, CANCELS=1), False),
    "one-sided": ("one id tried twice on a wire whose reads ask nobody; a loss, a timer, a revoke, a crash of the owner",
                  dict(PAIR, ONESIDED=1, LOSSES=1, DELAYS=1, OWNER_CRASHES=1, REVOKES=1), True),
    "blind": ("one handoff on such a wire, and no checksum is ever compared: the verdict alone must do",
              dict(ONESIDED=1, NO_CHECKSUM=1, LOSSES=2, DUPS=1, DELAYS=1, OWNER_CRASHES=1, REVOKES=1), False),
}
# Not within a few minutes or 6 GiB: only with --deep.
DEEP = {
    "square-all": ("two handoffs between two owners and two readers; two losses, a timer, a revoke, a crash and restart of each",
                   dict(SQUARE, LOSSES=2, DELAYS=1, REVOKES=1, OWNER_CRASHES=1, READER_CRASHES=1), False),
}

# What must be reached, by its name in config.pml, and with which faults.
POINTS = {
    "HELD": ("held", {}),
    "LOST_AFTER_REUSE": ("lost after the pages were reused", dict(DELAYS=1)),
    "RESTART_OF_OWNER_SEEN": ("an Open that names the owner's last life", dict(OWNER_CRASHES=1)),
    "RESTART_OF_READER_SEEN": ("a reader's new life ends what the old one had", dict(TRIES=2, READER_CRASHES=1)),
    "HELD_AFTER_RESTART": ("held after a restart of both sides", dict(TRIES=2, OWNER_CRASHES=1, READER_CRASHES=1)),
    "REVOKED_IN_FLIGHT": ("revoked while pulling", dict(REVOKES=1)),
    "EXPIRED_IN_FLIGHT": ("expired while pulling", dict(DELAYS=1)),
    "FENCED_LATE": ("bytes that land after the pull was lost", dict(CANCELS=1)),
    "VERDICT_REPEATED": ("the verdict asked for again", dict(LOSSES=1)),
    "HELD_UNHEARD": ("held, and the reader had given up", dict(CANCELS=1)),
}

# rule: (flag, faults that show it, partners). No partners: alone it must fail. Otherwise alone it must hold (with the faults of
# `alone`), since the partners are the same lock, and without all of them it must fail.
RULES = {
    "the reader confirms, and uses only what is held": ("NO_CONFIRM", {}, []),
    "checksums are verified": ("NO_CHECKSUM", dict(DAMAGES=1), []),
    "bytes are complete before they are offered": ("OFFER_BEFORE_COMPLETE", {}, []),
    "eviction needs zero pins": ("EVICTION_IGNORES_PINS", {}, []),
    "pins are counted, not a flag": ("PINS_NOT_COUNTED", dict(HANDOFFS=2, READERS=2, UNITS=1, DELAYS=1, REVOKES=1), []),
    "pages are pinned until the lease has ended": ("FREE_WHILE_READ", {}, []),
    "a reader's pages are in quarantine until its reads are over": ("NO_QUARANTINE", dict(CANCELS=1), []),
    "a fence that does not come is forced by closing": ("FENCE_NEVER_CLOSES", dict(DEATHS=1), []),
    "leases expire": ("NO_EXPIRY", dict(CANCELS=1, LOSSES=1), []),
    "what has expired is not revived": ("EXPIRED_REVIVES", dict(RENEWS=1, DELAYS=1), []),
    "parts of a revoked lease do not count": ("PARTS_OF_A_REVOKED_LEASE_COUNT", dict(PAIR, REVOKES=1), []),
    "the verdict is remembered": ("VERDICT_NOT_REMEMBERED", dict(LOSSES=1), []),
    "lease ids are never used twice": ("LEASE_IDS_REPEAT", dict(PAIR, DUPS=1, LOSSES=1), []),
    "every request carries the lease's secret": ("NO_SECRET", dict(FORGERIES=1), []),
    "early Opens are forgotten": ("NO_PENDING_EXPIRY", dict(STALLS=1), []),
    "a reader gives up at its deadline": ("NO_READER_DEADLINE", dict(STALLS=1), []),
    "a reader's new epoch ends its old leases": (
        "NEW_EPOCH_REVOKES_NOTHING", dict(HANDOFFS=2, UNITS=1, READER_CRASHES=1), []),
    "a life that was followed opens nothing": (
        "SUPERSEDED_MAY_OPEN", dict(HANDOFFS=2, UNITS=1, TRIES=2, READER_CRASHES=1, CANCELS=1), []),
    "a life is not taken for an old one for ever": (
        "SUPERSEDED_FOR_GOOD", dict(HANDOFFS=2, UNITS=1, TRIES=2, READER_CRASHES=1), []),
    "the owner compares its epoch": ("OWNER_CHECKS_NO_EPOCH", dict(PAIR, OWNER_CRASHES=1, DELAYS=1), ["NO_SECRET"]),
    "the owner compares the reader's epoch": (
        "OWNER_CHECKS_NO_READER_EPOCH", dict(PAIR, READER_CRASHES=1, LOSSES=1), ["NO_SECRET", "LEASE_IDS_REPEAT"]),
    "the reader compares the owner's epoch": ("READER_CHECKS_NO_EPOCH", dict(PAIR, OWNER_CRASHES=1, DUPS=1), []),
    "the reader compares the lease": ("READER_CHECKS_NO_LEASE", dict(PAIR, DUPS=1), []),
    "the owner compares the lease": ("NO_LEASE_CHECK", dict(PAIR, LOSSES=1, DUPS=1, RENEWS=1), ["NO_SECRET"]),
    "the seal counts the offers": (
        "NO_SEAL_COUNT", dict(LOSSES=1), ["NO_COVERAGE", "CONFIRM_COUNT_NOT_COMPARED"]),
    "every unit wanted is there": ("NO_COVERAGE", dict(LOSSES=1), ["NO_SEAL_COUNT", "CONFIRM_COUNT_NOT_COMPARED"]),
    "Confirm's count is compared": ("CONFIRM_COUNT_NOT_COMPARED", dict(LOSSES=1), ["NO_SEAL_COUNT", "NO_COVERAGE"]),
    "nothing unsealed is held": (
        "UNSEALED_MAY_BE_HELD", dict(LOSSES=1), ["CONFIRMS_UNSEALED", "NO_COVERAGE"]),
    "the reader waits for the seal": (
        "CONFIRMS_UNSEALED", dict(LOSSES=1), ["UNSEALED_MAY_BE_HELD", "NO_COVERAGE"]),
    "nothing renews past the hard deadline": (
        "RENEW_PAST_HARD_DEADLINE", dict(STALLS=1, LOSSES=1), ["NO_READER_DEADLINE"]),
    "the reader's own lease timer": (
        "NO_READER_LEASE_TIMER", dict(DELAYS=1, LOSSES=1, REVOKES=1), ["NO_READER_DEADLINE"]),
    "a silent owner is given up": ("NO_SILENCE_LIMIT", dict(DEATHS=1, LOSSES=1), ["NO_READER_DEADLINE"]),
    "an end is remembered": ("ENDS_NOT_REMEMBERED", dict(REVOKES=1, LOSSES=1, DELAYS=1), ["NO_READER_DEADLINE"]),
    "an Opened that nobody waits for is released": (
        "UNEXPECTED_OPENED_IGNORED", dict(CANCELS=1, LOSSES=1), ["NO_EXPIRY"]),
    "while confirming only the Verdict counts": (
        "REVOKE_COUNTS_WHILE_CONFIRMING", dict(RENEWS=1), ["LATE_RENEW_REVOKES"]),
    "a Renew later than *held* is not answered by Revoke": (
        "LATE_RENEW_REVOKES", dict(RENEWS=1), ["REVOKE_COUNTS_WHILE_CONFIRMING"]),
}
