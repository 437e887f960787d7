#include "services/router/policy/prefix_index.h"

#include <algorithm>
#include <bit>
#include <utility>

namespace baton::router {
namespace {

constexpr size_t kFirstBuckets = 2;
constexpr size_t kAhead = 8;  // blocks whose bucket is fetched early

}  // namespace

PrefixIndex::PrefixIndex() : parts_(kParts) {
  for (Part& part : parts_) part.buckets.resize(kFirstBuckets);
  nodes_.Take();  // 0 is no place
}

std::optional<PrefixIndex::Holder> PrefixIndex::AddHolder() {
  if (unused_.empty() && counts_.size() >= HolderSets::kMostHolders) {
    while (Sweep()) {
    }
    if (unused_.empty()) return std::nullopt;
  }
  Holder holder = static_cast<Holder>(counts_.size());
  if (unused_.empty()) {
    counts_.push_back(0);
    sets_.Fit(holder + 1);
    live_.resize(sets_.words());
  } else {
    holder = unused_.back();
    unused_.pop_back();
  }
  live_[holder / 64] |= uint64_t{1} << (holder % 64);
  return holder;
}

void PrefixIndex::Retire(Holder holder) {
  live_[holder / 64] &= ~(uint64_t{1} << (holder % 64));
  pairs_ -= std::exchange(counts_[holder], 0);
  retired_.push_back(holder);
}

bool PrefixIndex::Sweep() {
  if (sweeping_.empty()) {
    if (retired_.empty()) return false;
    sweeping_ = std::exchange(retired_, {});
    swept_ = 0;
  }
  SweepPart(&parts_[swept_++]);
  if (swept_ < kParts) return true;
  unused_.insert(unused_.end(), sweeping_.begin(), sweeping_.end());
  sweeping_.clear();
  return !retired_.empty();
}

void PrefixIndex::SweepPart(Part* part) {
  std::vector<bool> gone(counts_.size());
  for (const Holder holder : sweeping_) gone[holder] = true;
  std::vector<uint32_t> holders;
  for (Bucket& bucket : part->buckets) {
    for (const Place place : bucket.place) {
      if (place == 0) continue;
      Set& set = At(place)->set;
      holders.clear();
      sets_.List(set, &holders);
      for (const uint32_t holder : holders) {
        if (gone[holder]) set = sets_.Remove(set, holder);
      }
      if (set == 0) Erase(place);
    }
  }
}

void PrefixIndex::Stored(Holder holder, absl::Span<const BlockHash> blocks) {
  Place before = 0;
  for (size_t i = 0; i < blocks.size(); ++i) {
    if (i + kAhead < blocks.size()) Prefetch(blocks[i + kAhead]);
    Place place = At(before)->next;
    if (At(place)->set == 0 || At(place)->block != blocks[i]) place = Find(blocks[i]);
    if (place == 0) place = Insert(blocks[i]);
    if (before != 0) At(before)->next = place;
    before = place;
    Set& set = At(place)->set;
    if (set != 0 && sets_.Contains(set, holder)) continue;
    set = sets_.Add(set, holder);
    ++counts_[holder];
    ++pairs_;
  }
}

void PrefixIndex::Evicted(Holder holder, absl::Span<const BlockHash> blocks) {
  for (size_t i = 0; i < blocks.size(); ++i) {
    if (i + kAhead < blocks.size()) Prefetch(blocks[i + kAhead]);
    const Place place = Find(blocks[i]);
    if (place == 0 || !sets_.Contains(At(place)->set, holder)) continue;
    At(place)->set = sets_.Remove(At(place)->set, holder);
    --counts_[holder];
    --pairs_;
    if (At(place)->set == 0) Erase(place);
  }
}

void PrefixIndex::Match(absl::Span<const BlockHash> chain, absl::Span<uint32_t> leading) const {
  std::fill(leading.begin(), leading.end(), 0);
  std::vector<uint64_t> alive(live_), before(live_.size());
  const auto end = [&](uint64_t bits, size_t word, size_t blocks) {
    for (; bits != 0; bits &= bits - 1) {
      const size_t holder = word * 64 + static_cast<size_t>(std::countr_zero(bits));
      if (holder < leading.size()) leading[holder] = static_cast<uint32_t>(blocks);
    }
  };
  Set last = 0;
  Place guess = 0;
  for (size_t i = 0; i < chain.size(); ++i) {
    const Node* node = At(guess);
    if (node->set == 0 || node->block != chain[i]) node = At(Find(chain[i]));
    guess = node->next;
    if (i > 0 && sets_.Alike(node->set, last)) continue;
    last = node->set;
    before = alive;
    sets_.Intersect(last, absl::MakeSpan(alive));
    uint64_t any = 0;
    for (size_t word = 0; word < alive.size(); ++word) {
      any |= alive[word];
      if (const uint64_t fell = before[word] & ~alive[word]; fell != 0) end(fell, word, i);
    }
    if (any == 0) return;
  }
  for (size_t word = 0; word < alive.size(); ++word) end(alive[word], word, chain.size());
}

bool PrefixIndex::Holds(Holder holder, const BlockHash& block) const {
  if ((live_[holder / 64] >> (holder % 64) & 1) == 0) return false;
  const Place place = Find(block);
  return place != 0 && sets_.Contains(At(place)->set, holder);
}

PrefixIndex::Place PrefixIndex::Find(const BlockHash& block) const {
  const Part& part = parts_[PartOf(block)];
  const size_t mask = part.buckets.size() - 1;
  // After evictions blocks may have gone past every bucket: one round, no more.
  for (size_t step = 0; step <= mask; ++step) {
    const Bucket& bucket = part.buckets[(block.lo + step) & mask];
    for (int slot = 0; slot < kSlots; ++slot) {
      const Place place = bucket.place[slot];
      if (place != 0 && bucket.tag[slot] == TagOf(block) && At(place)->block == block) return place;
    }
    if (bucket.passed == 0) return 0;
  }
  return 0;
}

PrefixIndex::Place PrefixIndex::Insert(const BlockHash& block) {
  Part& part = parts_[PartOf(block)];
  if ((part.blocks + 1) * 5 > part.buckets.size() * kSlots * 4) Grow(&part);
  const Place place = nodes_.Take();
  *At(place) = {.block = block};
  Put(&part, block, place);
  ++part.blocks;
  ++blocks_;
  return place;
}

void PrefixIndex::Put(Part* part, const BlockHash& block, Place place) {
  const size_t mask = part->buckets.size() - 1;
  for (size_t at = block.lo & mask;; at = (at + 1) & mask) {
    Bucket& bucket = part->buckets[at];
    Place* const free = std::find(bucket.place, bucket.place + kSlots, 0);
    if (free != bucket.place + kSlots) {
      *free = place;
      bucket.tag[free - bucket.place] = TagOf(block);
      return;
    }
    ++bucket.passed;
  }
}

void PrefixIndex::Erase(Place place) {
  const BlockHash block = At(place)->block;
  *At(place) = {};
  nodes_.Give(place);
  Part& part = parts_[PartOf(block)];
  --part.blocks;
  --blocks_;
  const size_t mask = part.buckets.size() - 1;
  for (size_t at = block.lo & mask;; at = (at + 1) & mask) {
    Bucket& bucket = part.buckets[at];
    Place* const slot = std::find(bucket.place, bucket.place + kSlots, place);
    if (slot != bucket.place + kSlots) {
      *slot = 0;
      return;
    }
    --bucket.passed;
  }
}

void PrefixIndex::Grow(Part* part) {
  const std::vector<Bucket> old = std::exchange(part->buckets, {});
  part->buckets.resize(old.size() * 2);
  for (const Bucket& bucket : old) {
    for (const Place place : bucket.place) {
      if (place != 0) Put(part, At(place)->block, place);
    }
  }
}

void PrefixIndex::Prefetch(const BlockHash& block) const {
  const std::vector<Bucket>& buckets = parts_[PartOf(block)].buckets;
  __builtin_prefetch(&buckets[block.lo & (buckets.size() - 1)]);
}

size_t PrefixIndex::bytes() const {
  size_t bytes = sets_.bytes() + nodes_.bytes() + counts_.capacity() * 8;
  for (const Part& part : parts_) bytes += part.buckets.capacity() * sizeof(Bucket);
  return bytes;
}

}  // namespace baton::router
