/* The owner of handoff h: services/kv_transfer/handoff/owner*.cc. */

/* Someone writes into the owner's page of `k`. The promise of an offer: not while a lease lives. */
inline overwrite(h, k) {
  assert(S.record == NONE || S.offers <= k); /* offered bytes never change while the lease lives */
  S.changed = S.changed | (5 << k);
#if HANDOFFS == 2
  if
  :: at_owner[0] == at_owner[1] ->
    assert(hs[OTHER].record == NONE || hs[OTHER].offers <= k); /* offered bytes never change while any lease of theirs lives */
    hs[OTHER].changed = hs[OTHER].changed | (5 << k)
  :: else
  fi
#endif
}

/* Eviction needs pages that nobody pins; a record pins its pages to its end. */
#ifdef EVICTION_IGNORES_PINS
#define pinned(h) 0
#else
#ifdef FREE_WHILE_READ
#define pinned(h) ((S.record != NONE && S.record != SEALED) || (other_record_here(h) && !other_is_sealed(h)))
#else
#ifdef PINS_NOT_COUNTED
#define pinned(h) (S.record != NONE)
#else
#define pinned(h) (S.record != NONE || other_record_here(h))
#endif
#endif
#endif
#define owner_may_reuse(h) (S.pull != IDLE && S.granted0 && S.changed != 15 && !pinned(h))
inline reuse(h) {
  printf("owner %d: reuses the pages of %d\n", O, h);
  overwrite(h, 0);
  overwrite(h, 1)
}

inline end_record(h, held) {
  if
  :: S.record >= LEASED ->
    assert(of(said, S.record_try) == 0); /* a lease ends once */
    if
    :: held ->
      assert(of(confirmed, S.record_try)); /* *held* only to the reader that has verified everything */
      printf("owner: held\n")
    :: else -> printf("owner: lost\n"); to_reader(h, REVOKE, S.record_try, 0)
    fi;
    if
    :: S.record_try == 1 -> S.said0 = 1 + held
    :: else -> S.said1 = 1 + held
    fi;
#ifndef VERDICT_NOT_REMEMBERED
    if
    :: S.record_try == 1 -> S.verdict0 = 1 + held
    :: else -> S.verdict1 = 1 + held
    fi;
#endif
  :: else -> printf("owner: lost, not opened\n")
  fi;
#ifndef ENDS_NOT_REMEMBERED
  S.over = 1;
#endif
  S.record = NONE;
#ifndef EXPIRED_REVIVES
  S.record_try = 0; S.record_reader = 0;
#endif
  S.offers = 0;
  S.sealed = 0;
  S.stalled = 0
}

inline expire(h) {
  if :: S.record >= LEASED && S.pull == PULLING -> REACHED(EXPIRED_IN_FLIGHT) :: else fi;
#ifdef EXPIRED_REVIVES
  S.was = S.record;
#endif
  end_record(h, 0)
}

inline forget(h) {
  S.verdict0 = 0; S.verdict1 = 0; S.over = 0; S.forgot = 1;
  printf("owner: forgets what it said of %d\n", h)
}

#define is_superseded(e) (superseded[2 * O + R] & (1 << e))
#define OTHER_LIFE_LEASED(h) \
  (other_record_here(h) && at_reader[0] == at_reader[1] && hs[OTHER].record >= LEASED && \
   hs[OTHER].record_reader != S.record_reader)
/* A reader's new epoch ends what its old one had. */
inline note_reader(h) {
  if
  :: !known[2 * O + R] -> known[2 * O + R] = 1 + S.record_reader
  :: known[2 * O + R] && known[2 * O + R] != 1 + S.record_reader ->
    assert(!is_superseded(S.record_reader)); /* a life that another has followed does not end that one's leases */
    REACHED(RESTART_OF_READER_SEEN);
    superseded[2 * O + R] = superseded[2 * O + R] | known[2 * O + R];
    known[2 * O + R] = 1 + S.record_reader;
#if HANDOFFS == 2 && !defined(NEW_EPOCH_REVOKES_NOTHING)
    if
    :: other_record_here(h) && at_reader[0] == at_reader[1] && hs[OTHER].record_reader != S.record_reader ->
      end_record(OTHER, 0)
    :: else
    fi
#endif
  :: else
  fi;
#if HANDOFFS == 2
  assert(!OTHER_LIFE_LEASED(h)) /* a reader has leases of one life only */
#endif
}

inline grant(h) {
  if
  :: S.record_try == 1 -> S.granted0 = 1; S.life0 = owner_epoch[O]
  :: else -> S.granted1 = 1; S.life1 = owner_epoch[O]
  fi;
  S.record = (S.sealed -> SEALED : LEASED);
  note_reader(h);
  to_reader(h, OPENED, S.record_try, 0)
}

inline own_begin(h) {
  if :: S.record != NONE -> end_record(h, 0) :: else fi;
  printf("engine: owner %d begins %d, try %d, for epoch %d\n", O, h, S.tries, S.try_reader);
  S.begin_own = 0;
  S.record = AWAITING;
  S.record_try = S.tries;
  S.record_reader = S.try_reader;
  S.try_reader = 0;
  S.over = 0;
  if /* its prompt is computed into the pages, unless another record shares them */
  :: !other_record_here(h) -> overwrite(h, 0); overwrite(h, 1)
  :: else
  fi;
  if
  :: S.pending == 1 + S.record_reader -> S.pending = 0; grant(h)
  :: else
  fi
}

inline own_offer(h) {
  S.changed = S.changed & ~(1 << (2 * (S.record_try - 1) + S.offers));
  S.offers++;
  printf("engine: offers unit %d of %d\n", S.offers, h)
}

inline own_seal(h) {
  S.sealed = 1;
  if :: S.record == LEASED -> S.record = SEALED :: else fi;
  printf("engine: seals %d\n", h)
}

#ifdef NO_LEASE_CHECK
#define LEASE_OK(g) 1
#else
#define LEASE_OK(g) (LEASE(g) == LEASE(S.record_try))
#endif
#ifdef NO_SECRET
#define SECRET_OK(g, forged) 1
#define VERDICT_OF(g) \
  (S.verdict1 && LEASE(2) == LEASE(g) -> S.verdict1 : (S.verdict0 && LEASE(1) == LEASE(g) -> S.verdict0 : 0))
#else
#define SECRET_OK(g, forged) (g == S.record_try && !forged)
#define VERDICT_OF(g) of(verdict, g)
#endif
#ifdef OWNER_CHECKS_NO_EPOCH
#define EPOCH_OK(g) 1
#define OPEN_EPOCH_OK(e) 1
#else
#define EPOCH_OK(g) (of(life, g) == owner_epoch[O])
#define OPEN_EPOCH_OK(e) (e == owner_epoch[O])
#endif
#ifdef OWNER_CHECKS_NO_READER_EPOCH
#define READER_OK(e) 1
#else
#define READER_OK(e) (e == S.record_reader)
#endif
#ifdef CONFIRM_COUNT_NOT_COMPARED
#define COUNT_OK(n) 1
#else
#define COUNT_OK(n) (n == S.offers)
#endif
#ifdef UNSEALED_MAY_BE_HELD
#define SEALED_OK 1
#else
#define SEALED_OK S.sealed
#endif
#define is_lease(g, forged) (S.record >= LEASED && LEASE_OK(g) && SECRET_OK(g, forged))

inline on_open(h, names, e) {
  if
  :: !OPEN_EPOCH_OK(names) -> REACHED(RESTART_OF_OWNER_SEEN); to_reader(h, REFUSED, 1, 0)
#ifndef SUPERSEDED_MAY_OPEN
  :: OPEN_EPOCH_OK(names) && is_superseded(e) ->
#ifdef SUPERSEDED_FOR_GOOD
    assert(e != reader_epoch[R]); /* the living life of a reader is never refused for good as an old one */
    to_reader(h, REFUSED, 1, 0)
#else
    to_reader(h, RETRY, 1, 0)
#endif
#endif
  :: else ->
    if
    :: S.record == NONE && S.over -> to_reader(h, REFUSED, 1, 0)
    :: S.record == NONE && !S.over -> S.pending = 1 + e; to_reader(h, RETRY, 1, 0)
    :: S.record != NONE && S.record_reader != e -> to_reader(h, REFUSED, 1, 0)
    :: S.record == AWAITING && S.record_reader == e -> grant(h)
    :: S.record >= LEASED && S.record_reader == e -> to_reader(h, OPENED, S.record_try, 0)
    fi
  fi
}

inline on_renew(h, g) {
  if
  :: is_lease(g, 0) && EPOCH_OK(g) -> printf("owner: renewed\n")
#ifdef EXPIRED_REVIVES
  :: !is_lease(g, 0) && EPOCH_OK(g) && S.record == NONE && S.record_try == g && S.was >= LEASED ->
    printf("owner: renews what has expired\n");
    S.record = S.was; S.offers = (S.was == SEALED -> UNITS : 0); S.sealed = (S.was == SEALED); S.verdict0 = 0; S.verdict1 = 0
#else
  :: !(is_lease(g, 0) && EPOCH_OK(g)) ->
#ifndef LATE_RENEW_REVOKES
    if
    :: VERDICT_OF(g) == SAID_HELD
    :: else -> to_reader(h, REVOKE, g, 0)
    fi
#else
    to_reader(h, REVOKE, g, 0)
#endif
#endif
  :: else
  fi
}

inline say(h, g, held) {
  /* until the hard deadline, when it is forgotten: */
  assert(held || of(said, g) != SAID_HELD || S.forgot || of(life, g) != owner_epoch[O]); /* a verdict never changes */
  to_reader(h, VERDICT, g, held)
}

inline on_confirm(h, g, e, n, forged) {
  if
  :: forged && !SECRET_OK(g, forged) -> printf("owner: no such lease\n")
  :: !(forged && !SECRET_OK(g, forged)) && !EPOCH_OK(g) -> say(h, g, 0)
  :: !(forged && !SECRET_OK(g, forged)) && EPOCH_OK(g) && VERDICT_OF(g) ->
    REACHED(VERDICT_REPEATED);
    if
    :: VERDICT_OF(g) == SAID_HELD -> say(h, g, 1)
    :: else -> say(h, g, 0)
    fi
  :: !(forged && !SECRET_OK(g, forged)) && EPOCH_OK(g) && !VERDICT_OF(g) ->
    if
    :: is_lease(g, forged) && READER_OK(e) && SEALED_OK && COUNT_OK(n) ->
      if :: S.pull != CONFIRMING -> REACHED(HELD_UNHEARD) :: else fi;
      end_record(h, 1);
      say(h, g, 1)
    :: is_lease(g, forged) && READER_OK(e) && !(SEALED_OK && COUNT_OK(n)) -> say(h, g, 0); end_record(h, 0)
    :: else -> say(h, g, 0)
    fi
  fi
}

inline on_release(h, g) {
  if
  :: is_lease(g, 0) && EPOCH_OK(g) -> printf("owner: released\n"); end_record(h, 0)
  :: else
  fi
}

inline owner_hears(h, m) {
  if
  :: owner_dead[O]
  :: !owner_dead[O] && VERB(m) == OPEN -> on_open(h, (GRANT(m) - 1), EPOCH(m))
  :: !owner_dead[O] && VERB(m) == RENEW -> on_renew(h, GRANT(m))
  :: !owner_dead[O] && VERB(m) == CONFIRM -> on_confirm(h, GRANT(m), EPOCH(m), X(m), FORGED(m))
  :: !owner_dead[O] && VERB(m) == RELEASE -> on_release(h, GRANT(m))
  fi
}

inline crash_of(h) {
  S.record = NONE; S.record_try = 0; S.record_reader = 0; S.offers = 0; S.sealed = 0; S.stalled = 0; S.pending = 0; S.over = 0;
  S.verdict0 = 0; S.verdict1 = 0; S.changed = 15
}
inline crash_owner(n) {
  owner_epoch[n] = 1;
  known[2 * n] = 0; known[2 * n + 1] = 0; superseded[2 * n] = 0; superseded[2 * n + 1] = 0;
  if :: at_owner[0] == n -> crash_of(0) :: else fi;
#if HANDOFFS == 2
  if :: at_owner[1] == n -> crash_of(1) :: else fi;
#endif
  printf("owner %d: crashes, and begins epoch 1\n", n)
}
