#include "tests/sim/variants/story.h"

#include <algorithm>

#include "tests/sim/variants/without.h"

namespace baton::testing {
namespace {

// What the wire does and whether anything else goes wrong, by the seed.
enum Mode { kGentle, kLossy, kCannotAbort, kHostile, kEnds };
struct Rates {
  double drop, repeat, delay, damage;
  absl::Duration longest;
};
constexpr int kModes = 5;
const Rates kRates[kModes] = {{0, 0.2, 0.5, 0, absl::Milliseconds(400)},
                              {0.12, 0.2, 0.4, 0.02, absl::Seconds(3)},
                              {0.05, 0.1, 0.5, 0, absl::Seconds(4)},
                              {0.03, 0.4, 0.5, 0, absl::Seconds(1)},
                              {0.03, 0.1, 0.3, 0, absl::Milliseconds(500)}};
constexpr absl::Duration kOwnerKeeps = absl::Seconds(20), kReaderWaits = absl::Seconds(15);

}  // namespace

Story::Story(uint64_t seed)
    : rng_(seed),
      mode_(static_cast<int>(seed % kModes)),
      network_({[this](const LoopbackFrame& f) { return Fate(f); }, mode_ == kCannotAbort}, &clock_) {
  StartOwner();
  StartReader();
  owner_memory_.Randomize(rng_);
  reader_memory_.Randomize(rng_);
  for (int n = 0; n < kIds; ++n) {
    handoffs_[n].tokens = 1 + static_cast<int64_t>(rng_() % (kPagesEach * kSmallLayout.PageTokens()));
    for (PageId page = 0; page < kPagesEach; ++page) {
      handoffs_[n].from.push_back(static_cast<PageId>(n * kPagesEach + (page + 1) % kPagesEach));
      handoffs_[n].to.push_back(static_cast<PageId>(n * kPagesEach + page));
    }
  }
}

LoopbackFault Story::Fate(const LoopbackFrame& frame) {
  const Rates& rates = kRates[mode_];
  LoopbackFault fault;
  if (Chance(rates.drop)) fault.copies = 0;
  if (Chance(rates.repeat)) ++fault.copies;
  if (Chance(rates.delay)) fault.delay = rates.longest * std::uniform_real_distribution<>(0, 1)(rng_);
  fault.corrupt = frame.kind == LoopbackFrame::Kind::kData && Chance(rates.damage);
  return fault;
}

std::unique_ptr<Party> Story::NewParty(const std::string& name, TestMemory* memory, bool owner) {
  OwnerOptions own;
  ReaderOptions read;
  own.epoch = read.epoch = {owner ? 1u : 2u, rng_()};
  own.layout = read.layout = kSmallLayout;
  own.pages = read.pages = {memory->pages(0)};
  own.lease = own.open_within = kLease;
  own.new_secret = [this] { return Id128{rng_(), rng_()}; };
  read.name = name;
  read.fence_timeout = absl::Seconds(20);
  read.max_bytes_in_flight = 8 << 10;
  Party::Spy spy{[this](HandoffEvent event) { On(event); },
                 [this, owner](PeerId to, const v1::Handoff& sent, const v1::Handoff* heard) {
                   owner ? OnOwnerSends(to, sent, heard) : OnReaderSends(sent);
                 }};
  return std::make_unique<Party>(name, read.epoch, std::move(own), std::move(read), &network_, &clock_,
                                 memory, std::move(spy));
}

void Story::StartOwner() {
  owner_.reset();
  owner_ = NewParty("owner", &owner_memory_, true);
  owner_epoch_ = owner_->epoch();
  followed_.clear();
  granted_to_ = {};
  for (Handoff& h : handoffs_) {  // the process is gone, and with it its records
    h.owned = false;
    Scribble(owner_memory_, h.from);
  }
}

void Story::StartReader() {
  reader_.reset();
  reader_ = NewParty("reader", &reader_memory_, false);
  reader_epoch_ = reader_->epoch();
  for (Handoff& h : handoffs_) {
    h.pulling = h.fence_due = false;
    Free(h);
  }
}

std::string Story::Run() {
  for (int step = 0; step < 90 && broken_.empty(); ++step) {
    Act(static_cast<int>(rng_() % kIds));
    Turn(absl::Milliseconds(rng_() % 40));
  }
  for (int n = 0; n < kIds && broken_.empty(); ++n) {
    handoffs_[n].tries = 2;
    Deliver(n);
    while (handoffs_[n].owned && !handoffs_[n].sealed && !handoffs_[n].stalled) Progress(n);
  }
  Turn(absl::Seconds(45));
  if (broken_.empty()) CheckAtRest();
  return broken_;
}

void Story::Act(int n) {
  Handoff& h = handoffs_[n];
  const int tries = mode_ == kGentle ? 1 : 2;
  if (h.tries < tries && !h.own_due && !h.pull_due && !h.fence_due && (!h.pulling || Chance(0.1))) {
    ++h.tries;
    h.own_due = h.pull_due = true;
    h.owner_named = owner_epoch_;
    h.reader_named = reader_epoch_;
  } else if (h.own_due || h.pull_due) {
    if (Chance(0.6)) Deliver(n);
  } else {
    Progress(n);
  }
  if (mode_ != kGentle && Chance(0.06)) Disturb(static_cast<int>(rng_() % kIds));
  if (mode_ == kHostile && Chance(0.2)) Forge(static_cast<int>(rng_() % kIds));
  if (Without("EVICTION_IGNORES_PINS") && h.owned && Chance(0.2)) Scribble(owner_memory_, h.from);
  CheckLives();
}

// One of the commands reaches its engine, or both.
void Story::Deliver(int n) {
  Handoff& h = handoffs_[n];
  const bool never = mode_ == kEnds && Chance(0.3);
  if (h.pull_due && Chance(0.7)) {
    h.pull_due = false;
    if (h.pulling || h.fence_due) return;
    CheckGuard(h);
    h.guarded = false;
    h.pulling = true;
    reader_->Do(PullBegin{HandoffId(Id(n)),
                          {"owner", "", h.owner_named, 0},
                          0,
                          0,
                          h.tokens,
                          h.to,
                          kDigest,
                          clock_.Now() + kReaderWaits});
  }
  if (!h.own_due || Chance(0.3)) return;
  h.own_due = false;
  if (never || owner_ == nullptr) return;
  owner_->Do(OwnBegin{Id(n), 0, h.reader_named, 0, h.tokens, clock_.Now() + kOwnerKeeps});
  h.owned = owner_->owner().Find(Id(n)) != nullptr;
  h.offered = 0;
  h.sealed = false;
  h.stalled = mode_ == kEnds && Chance(0.3);
  Scribble(owner_memory_, h.from);  // the prompt is computed
  h.truth = ChecksumsOf(owner_memory_, 0, Whole(h), h.from);
}

// The owner's engine computes a little more.
void Story::Progress(int n) {
  Handoff& h = handoffs_[n];
  if (!h.owned || h.sealed || (h.stalled && h.offered > 0)) return;
  if (h.offered == h.tokens) {
    if (Without("OFFER_BEFORE_COMPLETE")) Scribble(owner_memory_, h.from);
    h.sealed = true;
    return owner_->Do(OwnSeal{Id(n), kDigest, n});
  }
  const int64_t end = std::min<int64_t>(h.tokens, h.offered + kAtomTokens * (1 + rng_() % 2));
  const int split = 1 + static_cast<int>(rng_() % (kSmallLayout.layers - 1));
  for (const auto& [first, last] : {std::pair(0, split), std::pair(split, int{kSmallLayout.layers})}) {
    if (h.owned) owner_->Do(OfferOf(owner_memory_, Id(n), 0, {h.offered, end, first, last}, h.from));
  }
  h.offered = end;
}

void Story::Disturb(int n) {
  switch (rng_() % (mode_ == kEnds ? 6 : 5)) {
    case 0:
      if (owner_ != nullptr) owner_->Do(OwnRevoke{Id(n), "pressure"});
      return;
    case 1:
      return reader_->Do(PullCancel{Id(n)});
    case 2:
      if (owner_ != nullptr) StartOwner();
      return;
    case 3:
      return StartReader();
    case 5:
      owner_.reset();
      for (Handoff& h : handoffs_) h.owned = false;
      return;
    default:
      return;
  }
}

// Somebody who knows everything but the secret.
void Story::Forge(int n) {
  const OwnedLease* record = owner_ == nullptr ? nullptr : owner_->owner().Find(Id(n));
  if (record == nullptr || record->lease() == 0) return;
  v1::Handoff message = NewMessage(Id(n), record->begun().reader_epoch);
  v1::Confirm& confirm = *message.mutable_confirm();
  ToProto(owner_epoch_, confirm.mutable_owner_epoch());
  ToProto(record->begun().reader_epoch, confirm.mutable_reader_epoch());
  confirm.set_lease(record->lease());
  confirm.set_offers(record->offers());
  ToProto(Id128{rng_(), rng_()}, confirm.mutable_secret());
  const auto intruder = network_.NewTransport("intruder");  // and gone before it is answered
  (void)intruder->Send(*intruder->Connect("owner", ""), message.SerializeAsString());
}

void Story::Turn(absl::Duration by) {
  const MonoTime until = clock_.Now() + by;
  for (int rounds = 0; broken_.empty(); ++rounds) {
    MonoTime next = std::min(network_.NextDue(), reader_->NextDeadline());
    if (owner_ != nullptr) {
      owner_->Step();
      next = std::min(next, owner_->NextDeadline());
    }
    reader_->Step();
    next = std::min({next, network_.NextDue(), reader_->NextDeadline()});
    if (next > until) break;
    if (next > clock_.Now())
      clock_.Advance(next - clock_.Now());
    else if (rounds > 200000)
      return Broken("no end of it");
  }
  if (until > clock_.Now()) clock_.Advance(until - clock_.Now());
}

void Story::Scribble(TestMemory& memory, const std::vector<PageId>& pages) {
  for (const PageId page : pages) {
    for (std::byte& byte : memory.Page(0, page)) byte = static_cast<std::byte>(rng_());
  }
}

void Story::Free(Handoff& h) {
  if (h.tokens == 0) return;
  Scribble(reader_memory_, h.to);
  h.guarded = true;
  h.guard = ChecksumsOf(reader_memory_, 0, Whole(h), h.to);
}

}  // namespace baton::testing
