/* Sizes and how often each fault may happen; the defaults of `calm`. */
#ifndef OWNERS
#define OWNERS 1
#endif
#ifndef READERS
#define READERS 1
#endif
#ifndef HANDOFFS
#define HANDOFFS 1
#endif
#ifndef TRIES
#define TRIES 1 /* of one id */
#endif
#ifndef UNITS
#define UNITS 2 /* offers, each of one page */
#endif
#ifndef LOSSES
#define LOSSES 0
#endif
#ifndef DUPS
#define DUPS 0
#endif
#ifndef DELAYS
#define DELAYS 0
#endif
#ifndef OWNER_CRASHES
#define OWNER_CRASHES 0
#endif
#ifndef READER_CRASHES
#define READER_CRASHES 0
#endif
#ifndef DEATHS
#define DEATHS 0 /* crashes for good */
#endif
#ifndef REVOKES
#define REVOKES 0
#endif
#ifndef CANCELS
#define CANCELS 0
#endif
#ifndef STALLS
#define STALLS 0 /* an engine that never goes on */
#endif
#ifndef RENEWS
#define RENEWS 0 /* that may still matter when they come: late ones */
#endif
#ifndef DAMAGES
#define DAMAGES 0
#endif
#ifndef FORGERIES
#define FORGERIES 0 /* by someone who knows all but the secret */
#endif
/* ONESIDED: reads ask nobody. */

/* Rules that are timers. */
#ifdef NO_EXPIRY
#define OWNER_EXPIRES 0
#define OWNER_HAS_HARD_DEADLINE 0
#else
#define OWNER_EXPIRES 1
#ifdef RENEW_PAST_HARD_DEADLINE
#define OWNER_HAS_HARD_DEADLINE 0
#else
#define OWNER_HAS_HARD_DEADLINE 1
#endif
#endif
#ifdef NO_PENDING_EXPIRY
#define PENDING_EXPIRES 0
#else
#define PENDING_EXPIRES 1
#endif
#ifdef NO_READER_LEASE_TIMER
#define READER_LEASE_TIMER 0
#else
#define READER_LEASE_TIMER 1
#endif
#ifdef NO_SILENCE_LIMIT
#define READER_SILENCE 0
#else
#define READER_SILENCE 1
#endif
#ifdef NO_READER_DEADLINE
#define READER_DEADLINE 0
#else
#define READER_DEADLINE 1
#endif

/* -DFIND=n makes the point n an error, so that its shortest way is found. */
#define HELD 1
#define LOST_AFTER_REUSE 2
#define RESTART_OF_OWNER_SEEN 3
#define RESTART_OF_READER_SEEN 4
#define HELD_AFTER_RESTART 5
#define REVOKED_IN_FLIGHT 6
#define EXPIRED_IN_FLIGHT 7
#define FENCED_LATE 8
#define VERDICT_REPEATED 9
#define HELD_UNHEARD 10
#ifdef FIND
#define REACHED(point) assert(FIND != point)
#else
#define REACHED(point) skip
#endif
