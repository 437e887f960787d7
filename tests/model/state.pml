/* State, messages and the wire. */

#define NONE 0 /* of a record */
#define AWAITING 1
#define LEASED 2
#define SEALED 3

#define IDLE 0 /* of a pull */
#define OPENING 1
#define PULLING 2
#define CONFIRMING 3
#define FENCING 4

#define WANTED 0 /* of a unit at the reader */
#define ASKED 1
#define COMING 2
#define VERIFIED 3

#define SAID_LOST 1
#define SAID_HELD 2

/* to the owner */
#define OPEN 1
#define RENEW 2
#define CONFIRM 3
#define RELEASE 4
/* to the reader */
#define OPENED 1
#define RETRY 2
#define REFUSED 3
#define OFFER 4
#define SEAL 5
#define VERDICT 6
#define REVOKE 7

/* A message: verb, grant (its secret; an Open names the owner's epoch there), a number, the sender's epoch, and whether it
   is forged. */
#define M(verb, grant, x, epoch) (((verb) << 5) | (((grant) - 1) << 4) | ((x) << 2) | ((epoch) << 1))
#define VERB(m) ((m) >> 5)
#define GRANT(m) ((((m) >> 4) & 1) + 1)
#define X(m) (((m) >> 2) & 3)
#define EPOCH(m) (((m) >> 1) & 1)
#define FORGED(m) ((m) & 1)

typedef Side {
  /* the router: commands on their way to the engines, and the epochs that they name */
  unsigned tries : 2;
  bit begin_own;
  bit begin_pull;
  bit try_owner;
  bit try_reader;
  /* the owner */
  unsigned record : 2;
  unsigned record_try : 2; /* its grant is called so too: a record has one lease */
  bit record_reader;       /* the epoch of the reader that it was begun for */
  unsigned offers : 2;
  bit sealed;
  bit stalled;
  unsigned pending : 2;  /* 1 + the reader's epoch of an early Open */
  bit over;              /* an end is remembered: a late Open is refused for good */
  unsigned verdict0 : 2; /* remembered, by grant */
  unsigned verdict1 : 2;
  /* the reader */
  unsigned pull : 3;
  bit named; /* the owner's epoch that the pull was begun with */
  unsigned lease : 2;
  unsigned got : 2;      /* offers, a bit each */
  unsigned seal_got : 2; /* the number sealed */
  unsigned unit0 : 2;
  unsigned unit1 : 2;
  bit right0; /* of what was read: the bytes that were offered */
  bit right1;
  /* what an observer knows, by grant */
  bit granted0;
  bit granted1;
  bit life0; /* the owner's epoch that granted */
  bit life1;
  unsigned said0 : 2; /* how the record ended */
  unsigned said1 : 2;
  bit confirmed0; /* the reader had everything verified */
  bit confirmed1;
  bit forgot;
  unsigned changed : 4; /* since it was offered: bit 2 * (grant - 1) + unit */
#ifdef EXPIRED_REVIVES
  unsigned was : 2;
#endif
};

Side hs[HANDOFFS];
byte up_[2 * HANDOFFS];
byte down_[2 * HANDOFFS];
#define S hs[h]
#define UP(slot) up_[2 * h + slot]
#define DOWN(slot) down_[2 * h + slot]

bit at_owner[HANDOFFS];
bit at_reader[HANDOFFS];
#define O at_owner[h]
#define R at_reader[h]
bit owner_epoch[2];
bit owner_dead[2];
bit reader_epoch[2];
bit reader_dead[2];
byte known[4]; /* by 2 * owner + reader: 1 + the reader's latest epoch */
byte superseded[4]; /* epochs, a bit each */

unsigned losses : 2 = LOSSES;
unsigned dups : 2 = DUPS;
unsigned delays : 2 = DELAYS;
unsigned owner_crashes : 2 = OWNER_CRASHES;
unsigned reader_crashes : 2 = READER_CRASHES;
unsigned deaths : 1 = DEATHS;
unsigned revokes : 2 = REVOKES;
unsigned cancels : 2 = CANCELS;
unsigned stalls : 1 = STALLS;
unsigned renews : 2 = RENEWS;
unsigned damages : 1 = DAMAGES;
unsigned forgeries : 1 = FORGERIES;

/* of a grant */
#define of(field, grant) ((grant) == 1 -> S.field##0 : S.field##1)
#define CHANGED(grant, unit) ((S.changed >> (2 * ((grant) - 1) + (unit))) & 1)
/* A lease id counts an owner's grants, from its start; the secret tells all grants apart. */
#ifdef LEASE_IDS_REPEAT
#define LEASE(grant) 1
#else
#define LEASE(grant) ((grant) == 2 && S.granted0 && S.life0 == S.life1 -> 2 : 1)
#endif

#define live(pull) ((pull) >= OPENING && (pull) <= CONFIRMING)
#define pulls_on(h, grant) (S.pull == PULLING && S.lease == grant)
#define lease_lives(h, grant) (S.record >= LEASED && S.record_try == grant)
/* Whether the reader keeps the owner's timers from running out, or will. */
#define reader_renews(h) \
  (S.begin_pull || \
   (S.record >= LEASED && (S.pull == PULLING || S.pull == CONFIRMING) && S.lease == S.record_try) || \
   (S.pull == OPENING && S.named == owner_epoch[O] && S.record_reader == reader_epoch[R]))
/* Whether nothing but its deadline ends the pull. */
#define stuck(h) \
  (owner_dead[O] || S.stalled || (S.pull == PULLING && !lease_lives(h, S.lease)) || \
   (S.pull == OPENING && S.record == NONE && !S.begin_own && !S.over && S.named == owner_epoch[O]))
#define open_is_news(h) (!(superseded[2 * O + R] & (1 << reader_epoch[R])) && open_has_news(h))
#define open_has_news(h) (S.record != NONE || S.over || S.named != owner_epoch[O] || (S.begin_own && !S.pending))
/* Nothing is left but messages, which nobody waits for, and verdicts, which time takes away. */
#define at_rest(h) \
  (!S.begin_own && !S.begin_pull && S.record == NONE && S.pull == IDLE && !S.pending && !S.unit0 && !S.unit1)
#define over_with(h) (S.tries == TRIES && at_rest(h))

#define is_up(h, m) (UP(0) == (m) || UP(1) == (m))
#define is_down(h, m) (DOWN(0) == (m) || DOWN(1) == (m))
#define up_has(h, verb) (VERB(UP(0)) == verb || VERB(UP(1)) == verb)
#define down_has(h, verb) (VERB(DOWN(0)) == verb || VERB(DOWN(1)) == verb)

#if HANDOFFS == 2
#define OTHER (1 - h)
#define other_record_here(h) (at_owner[0] == at_owner[1] && hs[OTHER].record != NONE)
#define other_is_sealed(h) (hs[OTHER].record == SEALED)
#define reader_pages_free(h) (at_reader[0] != at_reader[1] || hs[OTHER].pull == IDLE)
#else
#define other_record_here(h) 0
#define other_is_sealed(h) 0
#define reader_pages_free(h) 1
#endif

/* The wire: a bag of two each way; what does not fit is lost. */
#define put(first, second, m) \
  t = first; \
  first = (!t || (!second && (m) < t) -> m : t); \
  second = (!t || second -> second : ((m) < t -> t : m)); \
  t = 0
inline put_up(h, m) { put(UP(0), UP(1), m) }
inline put_down(h, m) { put(DOWN(0), DOWN(1), m) }
inline take_up(h, slot) {
  UP(0) = (slot == 0 -> UP(1) : UP(0));
  UP(1) = 0
}
inline take_down(h, slot) {
  DOWN(0) = (slot == 0 -> DOWN(1) : DOWN(0));
  DOWN(1) = 0
}
inline to_owner(h, verb, grant, epoch, x) {
  put_up(h, M(verb, grant, x, epoch));
  printf("  -> owner %d: up-verb-%d of grant %d, %d\n", O, verb, grant, x)
}
inline to_reader(h, verb, grant, x) {
  put_down(h, M(verb, grant, x, owner_epoch[O]));
  printf("  -> reader %d: down-verb-%d of grant %d, %d\n", R, verb, grant, x)
}
inline forge(h) {
  put_up(h, M(CONFIRM, S.record_try, S.offers, S.record_reader) | 1);
  printf("intruder: confirms lease %d\n", LEASE(S.record_try))
}
