/* The reader of handoff h: services/kv_transfer/handoff/reader*.cc. */

#define in_flight_open(h) (up_has(h, OPEN) || down_has(h, OPENED) || down_has(h, REFUSED) || UP(1) || DOWN(1))
#define verdict_under_way(h) (up_has(h, CONFIRM) || down_has(h, VERDICT) || UP(1) || DOWN(1))

inline send_open(h) {
  put_up(h, M(OPEN, S.named + 1, 0, reader_epoch[R]));
  printf("  -> owner %d: Open of %d\n", O, h)
}
inline send_confirm(h) { to_owner(h, CONFIRM, S.lease, reader_epoch[R], ((S.got & 1) + (S.got >> 1))) }

inline clear_pull(h) {
  S.pull = IDLE; S.lease = 0; S.got = 0; S.seal_got = 0; S.named = 0
}
/* What was not under way is forgotten; reads under way are fenced first. */
inline drop_units(h) {
  if :: S.unit0 == VERIFIED -> S.unit0 = WANTED; S.right0 = 0 :: else fi;
  if :: S.unit1 == VERIFIED -> S.unit1 = WANTED; S.right1 = 0 :: else fi
}
inline if_fenced(h) {
  if
  :: S.pull == FENCING && !S.unit0 && !S.unit1 -> clear_pull(h); printf("reader: fenced\n")
  :: else
  fi
}

inline pull_begin(h) {
  S.begin_pull = 0; S.pull = OPENING; S.named = S.try_owner; S.try_owner = 0;
  printf("engine: reader %d begins to pull %d, try %d\n", R, h, S.tries);
  send_open(h)
}

inline lose(h) {
  printf("reader: %d is lost\n", h);
#if !(LOSSES + DELAYS + OWNER_CRASHES + READER_CRASHES + DEATHS + REVOKES + CANCELS + STALLS + DAMAGES + FORGERIES) && TRIES == 1
  assert(false); /* without faults everything is held */
#endif
  if
  :: S.lease && (CHANGED(S.lease, 0) && (S.got & 1)) -> REACHED(LOST_AFTER_REUSE)
  :: else
  fi;
  if :: S.lease -> to_owner(h, RELEASE, S.lease, reader_epoch[R], 0) :: else fi;
  drop_units(h);
#ifdef NO_QUARANTINE
  clear_pull(h)
#else
  if
  :: S.unit0 || S.unit1 -> S.pull = FENCING
  :: else -> clear_pull(h)
  fi
#endif
}

inline hold(h) {
  printf("reader: %d is held, and used\n", h);
  assert(S.unit0 == VERIFIED && S.right0); /* no bytes are used but those that were offered */
#if UNITS == 2
  assert(S.unit1 == VERIFIED && S.right1);
#endif
  assert(of(said, S.lease) == SAID_HELD); /* used only after the owner said so, of this lease */
  REACHED(HELD);
  if :: owner_epoch[O] && reader_epoch[R] -> REACHED(HELD_AFTER_RESTART) :: else fi;
  clear_pull(h);
  S.unit0 = WANTED; S.unit1 = WANTED; S.right0 = 0; S.right1 = 0
}

#ifdef NO_SEAL_COUNT
#define COUNTED ((!(S.got & 1) || S.unit0 == VERIFIED) && (!(S.got & 2) || S.unit1 == VERIFIED))
#else
#define COUNTED \
  (S.seal_got == (S.got & 1) + (S.got >> 1) && (!(S.got & 1) || S.unit0 == VERIFIED) && (!(S.got & 2) || S.unit1 == VERIFIED))
#endif
#ifdef CONFIRMS_UNSEALED
#define SEAL_HERE 1
#undef COUNTED
#define COUNTED (S.got && (!(S.got & 1) || S.unit0 == VERIFIED) && (!(S.got & 2) || S.unit1 == VERIFIED))
#else
#define SEAL_HERE S.seal_got
#endif
#ifdef NO_COVERAGE
#define COVERED 1
#else
#if UNITS == 2
#define COVERED (S.unit0 == VERIFIED && S.unit1 == VERIFIED)
#else
#define COVERED (S.unit0 == VERIFIED)
#endif
#endif

inline confirm_if_complete(h) {
  if
  :: S.pull == PULLING && SEAL_HERE && COUNTED && COVERED ->
#ifdef NO_CONFIRM
    hold(h)
#else
    S.pull = CONFIRMING;
    if
    :: S.unit0 == VERIFIED && (UNITS == 1 || S.unit1 == VERIFIED) ->
      if :: S.lease == 1 -> S.confirmed0 = 1 :: else -> S.confirmed1 = 1 fi
    :: else
    fi;
    send_confirm(h)
#endif
  :: else
  fi
}

#ifdef READER_CHECKS_NO_EPOCH
#define SENDER_OK(e) 1
#else
#define SENDER_OK(e) (e == S.named)
#endif
#ifdef READER_CHECKS_NO_LEASE
#define ours(g) (S.lease)
#else
#define ours(g) (S.lease && LEASE(g) == LEASE(S.lease))
#endif

inline on_opened(h, g, e) {
  if
  :: !live(S.pull) ->
#ifndef UNEXPECTED_OPENED_IGNORED
    to_owner(h, RELEASE, g, reader_epoch[R], 0)
#else
    skip
#endif
  :: S.pull == OPENING && SENDER_OK(e) -> S.pull = PULLING; S.lease = g; confirm_if_complete(h)
  :: else
  fi
}

inline on_revoke(h) {
  REACHED(REVOKED_IN_FLIGHT);
#ifdef PARTS_OF_A_REVOKED_LEASE_COUNT
  printf("reader: opens again, keeping what it has\n");
  S.pull = OPENING; S.lease = 0; S.seal_got = 0; S.right0 = 0; S.right1 = 0;
  if :: S.unit0 != VERIFIED -> S.unit0 = WANTED; S.got = S.got & 2 :: else fi;
  if :: S.unit1 != VERIFIED -> S.unit1 = WANTED; S.got = S.got & 1 :: else fi;
  send_open(h)
#else
  lose(h)
#endif
}

/* Of the owner and the life that the pull was begun with. */
inline reader_dispatch(h, m) {
  if
  :: VERB(m) == REFUSED && S.pull == OPENING -> lose(h)
  :: VERB(m) == OFFER && S.pull == PULLING && ours(GRANT(m)) && !(S.got & X(m)) ->
    S.got = S.got | X(m);
    if
    :: X(m) == 1 -> S.unit0 = ASKED
    :: X(m) == 2 -> S.unit1 = ASKED
    fi;
    confirm_if_complete(h)
  :: VERB(m) == SEAL && S.pull == PULLING && ours(GRANT(m)) ->
    if
    :: S.seal_got && S.seal_got != X(m) -> lose(h)
    :: else -> S.seal_got = X(m); confirm_if_complete(h)
    fi
  :: VERB(m) == VERDICT && S.pull == CONFIRMING && ours(GRANT(m)) ->
    if
    :: X(m) -> hold(h)
    :: else -> lose(h)
    fi
#ifdef REVOKE_COUNTS_WHILE_CONFIRMING
  :: VERB(m) == REVOKE && S.pull == CONFIRMING && ours(GRANT(m)) -> lose(h)
#endif
  :: VERB(m) == REVOKE && S.pull == PULLING && ours(GRANT(m)) -> on_revoke(h)
  :: else
  fi
}

inline reader_hears(h, m) {
  if
  :: reader_dead[R]
  :: !reader_dead[R] && VERB(m) == OPENED -> on_opened(h, GRANT(m), EPOCH(m))
  :: !reader_dead[R] && VERB(m) != OPENED && !live(S.pull)
  :: !reader_dead[R] && VERB(m) != OPENED && live(S.pull) && SENDER_OK(EPOCH(m)) -> reader_dispatch(h, m)
  :: !reader_dead[R] && VERB(m) != OPENED && live(S.pull) && !SENDER_OK(EPOCH(m)) ->
    if /* another life only ends the pull */
    :: (VERB(m) == REFUSED && S.pull == OPENING) ||
       ((VERB(m) == REVOKE || (VERB(m) == VERDICT && !X(m))) && ours(GRANT(m))) -> lose(h)
    :: else
    fi
  fi
}

/* A read. Where the owner serves, it judges; where reads are one-sided, only its life counts. */
#ifdef ONESIDED
#define granted_now(h, k) (of(life, S.lease) == owner_epoch[O])
#else
#define granted_now(h, k) \
  (is_lease(S.lease, 0) && EPOCH_OK(S.lease) && READER_OK(reader_epoch[R]) && S.offers > k)
#endif
#define UNIT(k) (k == 0 -> S.unit0 : S.unit1)
#define RIGHT(k) (k == 0 -> S.right0 : S.right1)
inline set_unit(h, k, to, truth) {
  if
  :: k == 0 -> S.unit0 = to; S.right0 = truth
  :: else -> S.unit1 = to; S.right1 = truth
  fi
}

inline serve(h, k) {
  if
  :: S.lease && granted_now(h, k) ->
    if
    :: CHANGED(S.lease, k) -> set_unit(h, k, COMING, 0)
    :: else -> set_unit(h, k, COMING, 1)
    fi;
    printf("owner: unit %d is read (overwritten: %d)\n", k + 1, CHANGED(S.lease, k))
  :: else ->
    set_unit(h, k, WANTED, 0);
    printf("owner: refuses a read\n");
    if :: S.pull == PULLING -> lose(h) :: else -> if_fenced(h) fi
  fi
}

inline land(h, k) {
  assert(S.pull != IDLE); /* no page that may be in use again is written by a late read */
  printf("reader: unit %d has come\n", k + 1);
  if
  :: S.pull == FENCING -> REACHED(FENCED_LATE); set_unit(h, k, WANTED, 0); if_fenced(h)
#ifdef NO_CHECKSUM
  :: S.pull != FENCING && RIGHT(k) -> set_unit(h, k, VERIFIED, 1); confirm_if_complete(h)
  :: S.pull != FENCING && !RIGHT(k) -> set_unit(h, k, VERIFIED, 0); confirm_if_complete(h)
#else
  :: S.pull != FENCING && RIGHT(k) -> set_unit(h, k, VERIFIED, 1); confirm_if_complete(h)
  :: S.pull != FENCING && !RIGHT(k) -> printf("reader: a checksum differs\n"); set_unit(h, k, WANTED, 0); lose(h)
#endif
  fi
}

/* A lost read is aborted and posted again; while fencing it is over. */
#ifdef FENCE_NEVER_CLOSES
#define ends_by_itself(h) 0
#else
#define ends_by_itself(h) (S.pull == FENCING)
#endif
inline read_fails(h, k) {
  if
  :: S.pull == FENCING -> set_unit(h, k, WANTED, 0); if_fenced(h)
  :: else -> losses--; set_unit(h, k, ASKED, 0)
  fi
}

inline crash_reader_of(h) { clear_pull(h); S.unit0 = WANTED; S.unit1 = WANTED; S.right0 = 0; S.right1 = 0 }
inline crash_reader(n) {
  reader_epoch[n] = 1;
  if :: at_reader[0] == n -> crash_reader_of(0) :: else fi;
#if HANDOFFS == 2
  if :: at_reader[1] == n -> crash_reader_of(1) :: else fi;
#endif
  printf("reader %d: crashes, and begins epoch 1\n", n)
}

#if HANDOFFS == 2
inline placement() {
#if OWNERS == 2
  if :: at_owner[1] = 0 :: at_owner[1] = 1 fi;
#endif
#if READERS == 2
  if :: at_reader[1] = 0 :: at_owner[1] == 0 -> at_reader[1] = 1 fi; /* sharing neither, they would not meet */
#endif
  skip
}
#else
inline placement() { skip }
#endif
