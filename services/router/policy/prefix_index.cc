#include "services/router/policy/prefix_index.h"

#include <algorithm>
#include <array>
#include <bit>
#include <utility>

namespace baton::router {
namespace {

constexpr size_t kFirstBuckets = 4;
constexpr size_t kAhead = 24;    // blocks whose bucket is fetched early
constexpr size_t kResolved = 8;  // blocks whose set is fetched early

}  // namespace

PrefixIndex::PrefixIndex() : parts_(kParts) {
  for (Part& part : parts_) part.buckets.resize(kFirstBuckets);
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
    for (int slot = 0; slot < kSlots; ++slot) {
      Set& set = bucket.set[slot];
      if (set == 0) continue;
      holders.clear();
      sets_.List(set, &holders);
      for (const uint32_t holder : holders) {
        if (gone[holder]) set = sets_.Remove(set, holder);
      }
      if (set == 0) Erase(part, &set, bucket.block[slot]);
    }
  }
}

void PrefixIndex::Stored(Holder holder, absl::Span<const BlockHash> blocks) {
  for (size_t i = 0; i < blocks.size(); ++i) {
    if (i + kResolved < blocks.size()) Prefetch(blocks[i + kResolved]);
    Part& part = parts_[PartOf(blocks[i])];
    Set* set = const_cast<Set*>(Find(part, blocks[i]));
    if (set != nullptr && sets_.Contains(*set, holder)) continue;
    if (set == nullptr) {
      set = Insert(&part, blocks[i]);
      ++blocks_;
    }
    *set = sets_.Add(*set, holder);
    ++counts_[holder];
    ++pairs_;
  }
}

void PrefixIndex::Evicted(Holder holder, absl::Span<const BlockHash> blocks) {
  for (size_t i = 0; i < blocks.size(); ++i) {
    if (i + kResolved < blocks.size()) Prefetch(blocks[i + kResolved]);
    Part& part = parts_[PartOf(blocks[i])];
    Set* set = const_cast<Set*>(Find(part, blocks[i]));
    if (set == nullptr || !sets_.Contains(*set, holder)) continue;
    *set = sets_.Remove(*set, holder);
    --counts_[holder];
    --pairs_;
    if (*set == 0) Erase(&part, set, blocks[i]);
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
  std::array<Set, kResolved> found{};
  Set last = 0;
  const auto resolve = [&](size_t i) {
    const Set* set = Find(parts_[PartOf(chain[i])], chain[i]);
    found[i % kResolved] = set == nullptr ? 0 : *set;
    sets_.Prefetch(found[i % kResolved]);
  };
  for (size_t i = 0; i < std::min(chain.size(), kAhead); ++i) Prefetch(chain[i]);
  for (size_t i = 0; i + 1 < std::min(chain.size() + 1, kResolved); ++i) resolve(i);
  for (size_t i = 0; i < chain.size(); ++i) {
    if (i + kAhead < chain.size()) Prefetch(chain[i + kAhead]);
    if (i + kResolved - 1 < chain.size()) resolve(i + kResolved - 1);
    const Set set = found[i % kResolved];
    if (i > 0 && sets_.Alike(set, last)) continue;
    last = set;
    before = alive;
    sets_.Intersect(set, absl::MakeSpan(alive));
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
  const Set* set = Find(parts_[PartOf(block)], block);
  return set != nullptr && sets_.Contains(*set, holder);
}

const PrefixIndex::Set* PrefixIndex::Find(const Part& part, const BlockHash& block) {
  const size_t mask = part.buckets.size() - 1;
  // After evictions blocks may have gone past every bucket: one round, no more.
  for (size_t step = 0; step <= mask; ++step) {
    const Bucket& bucket = part.buckets[(block.lo + step) & mask];
    for (int slot = 0; slot < kSlots; ++slot) {
      if (bucket.block[slot] == block && bucket.set[slot] != 0) return &bucket.set[slot];
    }
    if (bucket.passed == 0) return nullptr;
  }
  return nullptr;
}

// The slot holds no set yet; the caller gives it one before anything else happens.
PrefixIndex::Set* PrefixIndex::Insert(Part* part, const BlockHash& block) {
  if ((part->blocks + 1) * 5 > part->buckets.size() * kSlots * 4) Grow(part);
  ++part->blocks;
  const size_t mask = part->buckets.size() - 1;
  for (size_t at = block.lo & mask;; at = (at + 1) & mask) {
    Bucket& bucket = part->buckets[at];
    for (int slot = 0; slot < kSlots; ++slot) {
      if (bucket.set[slot] != 0) continue;
      bucket.block[slot] = block;
      return &bucket.set[slot];
    }
    ++bucket.passed;
  }
}

void PrefixIndex::Erase(Part* part, Set* slot, const BlockHash& block) {
  --part->blocks;
  --blocks_;
  const size_t mask = part->buckets.size() - 1;
  for (size_t at = block.lo & mask;; at = (at + 1) & mask) {
    Bucket& bucket = part->buckets[at];
    if (slot >= bucket.set && slot < bucket.set + kSlots) return;
    --bucket.passed;
  }
}

void PrefixIndex::Grow(Part* part) {
  const std::vector<Bucket> old = std::exchange(part->buckets, {});
  part->buckets.resize(old.size() * 2);
  part->blocks = 0;
  for (const Bucket& bucket : old) {
    for (int slot = 0; slot < kSlots; ++slot) {
      if (bucket.set[slot] != 0) *Insert(part, bucket.block[slot]) = bucket.set[slot];
    }
  }
}

void PrefixIndex::Prefetch(const BlockHash& block) const {
  const std::vector<Bucket>& buckets = parts_[PartOf(block)].buckets;
  __builtin_prefetch(&buckets[block.lo & (buckets.size() - 1)]);
}

size_t PrefixIndex::bytes() const {
  size_t bytes = sets_.bytes() + counts_.capacity() * 8;
  for (const Part& part : parts_) bytes += part.buckets.capacity() * sizeof(Bucket);
  return bytes;
}

}  // namespace baton::router
