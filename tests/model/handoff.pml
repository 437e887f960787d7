/* The handoff protocol (docs/handoff.md), one process for each handoff id, with its owner, its reader and the wire between
   them. Every step of an owner or a reader is one d_step, as in the code, which handles an event to its end.

   Time. A timer may run out at any moment, which costs one of DELAYS; it costs nothing where nothing but the timer can go on
   (the other side is gone, or has nothing to say). So no order of timers is assumed, the reader's and the owner's included.
   Messages. Two in flight each way for each id, unordered and late at will; LOSSES of them (or of reads) are lost, DUPS
   arrive twice, and what finds the wire full is lost as well. What is repeated until answered is repeated only when it is
   missing: another repeat is a duplicate. OfferAck and Renewed, which end repeats and move timers, are left out for that.
   Bytes. changed[] says which units were overwritten since they were offered on a lease; a read takes the truth with it.
   Progress. Every step uses something up, so there are no cycles (checked with -DNP); a state without successors in which
   anything is left (a record, a pull, a page in quarantine, a message, a remembered Open or verdict) is a deadlock.

   config.pml gives the size and the faults; a rule is taken away with -D and its name (rules.py). */

#include "config.pml"
#include "state.pml"
#include "owner.pml"
#include "reader.pml"

/* The router begins the first attempt, and may try the same id again, whatever is left of the first. */
inline router_tries(h) {
  d_step {
    S.tries++; S.begin_own = 1; S.begin_pull = 1; S.try_owner = owner_epoch[O]; S.try_reader = reader_epoch[R];
    printf("router: handoff %d, try %d: owner %d, reader %d\n", h, S.tries, O, R)
  }
}

/* What will never matter again is cleared, so that states that differ in nothing else are one. */
inline put_away(h) {
  S.granted0 = 0; S.granted1 = 0; S.life0 = 0; S.life1 = 0; S.said0 = 0; S.said1 = 0; S.confirmed0 = 0; S.confirmed1 = 0;
  S.forgot = 0; S.changed = 0; S.tries = 0; S.over = 0; S.verdict0 = 0; S.verdict1 = 0;
  UP(0) = 0; UP(1) = 0; DOWN(0) = 0; DOWN(1) = 0
}

proctype Handoff(byte h) {
  byte m, t; /* within a step only */
  do
  :: S.tries < TRIES && !S.begin_own && !S.begin_pull && S.pull == IDLE -> router_tries(h)
  :: d_step { S.tries > 0 && at_rest(h) -> put_away(h) }; break

  /* the engines */
  :: d_step { S.begin_own && !owner_dead[O] -> own_begin(h) }
  :: d_step { S.begin_own && (stalls > 0 || owner_dead[O]) -> stalls = (owner_dead[O] -> stalls : stalls - 1);
       S.begin_own = 0; printf("engine: the prefill of %d never begins\n", h) }
  :: d_step { S.begin_pull && !reader_dead[R] && reader_pages_free(h) -> pull_begin(h) }
  :: d_step { S.begin_pull && (reader_dead[R] || S.record != NONE || stalls > 0 ) && !S.begin_own ->
       stalls = (reader_dead[R] || stalls == 0 -> stalls : stalls - 1);
       S.begin_pull = 0; printf("engine: the decode of %d never begins\n", h) }
  :: d_step { S.record != NONE && !S.sealed && S.offers < UNITS && !S.stalled -> own_offer(h) }
  :: d_step { S.record != NONE && !S.sealed && S.offers == UNITS && !S.stalled -> own_seal(h) }
  :: d_step { S.record != NONE && !S.sealed && !S.stalled && stalls > 0 -> stalls--; S.stalled = 1;
       printf("engine: the prefill of %d goes no further\n", h) }
  :: d_step { S.record != NONE && revokes > 0 -> revokes--; printf("engine: the pages are needed back\n"); end_record(h, 0) }
  :: d_step { live(S.pull) && cancels > 0 -> cancels--; printf("engine: the request is cancelled\n"); lose(h) }
  :: d_step { owner_may_reuse(h) -> reuse(h) }
#ifdef OFFER_BEFORE_COMPLETE
  :: d_step { S.record != NONE && S.offers > 0 && S.offers < UNITS -> printf("engine: completes unit 1\n"); overwrite(h, 0) }
#endif

  /* the owner's timers */
  :: d_step { S.record != NONE && (delays > 0 || !reader_renews(h)) && OWNER_EXPIRES ->
       if :: reader_renews(h) -> delays-- :: else fi; printf("owner: lease %d expires\n", LEASE(S.record_try)); expire(h) }
  :: d_step { S.record != NONE && (delays > 0 || S.stalled) && OWNER_HAS_HARD_DEADLINE ->
       if :: S.stalled :: else -> delays-- fi; printf("owner: hard deadline of %d\n", h); expire(h) }
  :: d_step { (S.verdict0 || S.verdict1 || S.over) && S.record == NONE &&
       (live(S.pull) -> delays > 0 : S.tries < TRIES) ->
       if :: live(S.pull) -> delays-- :: else fi; forget(h) }
  :: d_step { S.pending && !S.begin_own && PENDING_EXPIRES -> S.pending = 0; printf("owner: forgets the early Open\n") }

  :: d_step { S.pull == OPENING && (superseded[2 * O + R] & (1 << reader_epoch[R])) -> superseded[2 * O + R] = 0;
       printf("owner: forgets who was superseded\n") }

  /* the reader's timers */
  :: d_step { S.pull == PULLING && (delays > 0 || !lease_lives(h, S.lease)) && READER_LEASE_TIMER ->
       if :: lease_lives(h, S.lease) -> delays-- :: else fi; printf("reader: its lease timer\n"); lose(h) }
  :: d_step { (S.pull == OPENING || S.pull == CONFIRMING) && (delays > 0 || owner_dead[O]) && READER_SILENCE ->
       if :: owner_dead[O] :: else -> delays-- fi; printf("reader: the owner is silent\n"); lose(h) }
  :: d_step { live(S.pull) && (delays > 0 || stuck(h)) && READER_DEADLINE ->
       if :: stuck(h) :: else -> delays-- fi; printf("reader: its deadline\n"); lose(h) }
  :: d_step { live(S.pull) && S.lease && renews > 0 -> renews--; to_owner(h, RENEW, S.lease, reader_epoch[R], 0) }

  /* what is missing is sent again */
  :: d_step { S.pull == OPENING && !in_flight_open(h) && !owner_dead[O] && open_is_news(h) -> send_open(h) }
  :: d_step { S.record >= LEASED && pulls_on(h, S.record_try) && S.offers >= 1 && !(S.got & 1) &&
       !is_down(h, M(OFFER, S.record_try, 1, owner_epoch[O])) && !DOWN(1) -> to_reader(h, OFFER, S.record_try, 1) }
#if UNITS == 2
  :: d_step { S.record >= LEASED && pulls_on(h, S.record_try) && S.offers >= 2 && !(S.got & 2) &&
       !is_down(h, M(OFFER, S.record_try, 2, owner_epoch[O])) && !DOWN(1) -> to_reader(h, OFFER, S.record_try, 2) }
#endif
  :: d_step { S.record == SEALED && pulls_on(h, S.record_try) && !S.seal_got &&
       !is_down(h, M(SEAL, S.record_try, S.offers, owner_epoch[O])) && !DOWN(1) -> to_reader(h, SEAL, S.record_try, S.offers) }
  :: d_step { S.pull == CONFIRMING && !verdict_under_way(h) && !owner_dead[O] -> send_confirm(h) }

  /* the wire */
  :: d_step { UP(0) && !over_with(h) -> m = UP(0); take_up(h, 0); owner_hears(h, m); m = 0 }
  :: d_step { UP(1) && UP(1) != UP(0) && !over_with(h) -> m = UP(1); take_up(h, 1); owner_hears(h, m); m = 0 }
  :: d_step { DOWN(0) && !over_with(h) -> m = DOWN(0); take_down(h, 0); reader_hears(h, m); m = 0 }
  :: d_step { DOWN(1) && DOWN(1) != DOWN(0) && !over_with(h) -> m = DOWN(1); take_down(h, 1); reader_hears(h, m); m = 0 }
  :: d_step { UP(0) && !UP(1) && dups > 0 && !over_with(h) -> dups--; UP(1) = UP(0); printf("wire: repeats\n") }
  :: d_step { DOWN(0) && !DOWN(1) && dups > 0 && !over_with(h) -> dups--; DOWN(1) = DOWN(0); printf("wire: repeats\n") }
  :: d_step { UP(0) && losses > 0 && !over_with(h) -> losses--; printf("wire: loses up-verb-%d\n", VERB(UP(0))); take_up(h, 0) }
  :: d_step { UP(1) && UP(1) != UP(0) && losses > 0 && !over_with(h) -> losses--; printf("wire: loses up-verb-%d\n", VERB(UP(1))); take_up(h, 1) }
  :: d_step { DOWN(0) && losses > 0 && !over_with(h) -> losses--; printf("wire: loses down-verb-%d\n", VERB(DOWN(0))); take_down(h, 0) }
  :: d_step { DOWN(1) && DOWN(1) != DOWN(0) && losses > 0 && !over_with(h) -> losses--; printf("wire: loses down-verb-%d\n", VERB(DOWN(1))); take_down(h, 1) }
  :: d_step { forgeries > 0 && S.record >= LEASED && !UP(1) -> forgeries--; forge(h) }
  :: d_step { S.unit0 == ASKED && !owner_dead[O] -> serve(h, 0) }
  :: d_step { S.unit0 == COMING -> land(h, 0) }
  :: d_step { (S.unit0 == COMING && S.pull == PULLING && losses > 0) || (S.unit0 != WANTED && ends_by_itself(h)) -> read_fails(h, 0) }
  :: d_step { S.unit0 == COMING && S.right0 && damages > 0 -> damages--; S.right0 = 0; printf("wire: damages bytes\n") }
#if UNITS == 2
  :: d_step { S.unit1 == ASKED && !owner_dead[O] -> serve(h, 1) }
  :: d_step { S.unit1 == COMING -> land(h, 1) }
  :: d_step { (S.unit1 == COMING && S.pull == PULLING && losses > 0) || (S.unit1 != WANTED && ends_by_itself(h)) -> read_fails(h, 1) }
#endif
  od
}

/* A crash and a restart are one step: that nobody answers in between is a delay. Or it is for good. */
proctype Faults() {
end:
  do
  :: d_step { owner_crashes > 0 && !owner_epoch[0] && !owner_dead[0] -> owner_crashes--; crash_owner(0) }
  :: d_step { reader_crashes > 0 && !reader_epoch[0] && !reader_dead[0] -> reader_crashes--; crash_reader(0) }
#if OWNERS == 2
  :: d_step { owner_crashes > 0 && !owner_epoch[1] && !owner_dead[1] -> owner_crashes--; crash_owner(1) }
#endif
#if READERS == 2
  :: d_step { reader_crashes > 0 && !reader_epoch[1] && !reader_dead[1] -> reader_crashes--; crash_reader(1) }
#endif
  :: d_step { deaths > 0 && !owner_dead[0] -> deaths--; crash_owner(0); owner_dead[0] = 1; printf("for good\n") }
  :: d_step { deaths > 0 && !reader_dead[0] -> deaths--; crash_reader(0); reader_dead[0] = 1; printf("for good\n") }
  od
}

init {
  atomic {
    placement();
    run Handoff(0);
#if HANDOFFS == 2
    run Handoff(1);
#endif
    run Faults()
  }
}
