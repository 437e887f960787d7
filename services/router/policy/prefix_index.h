#pragma once

// Who holds which prefix blocks, exactly, over all ranks (and pools): told of each block that a holder stores
// or evicts, in any order, it answers how many of a prompt's first blocks each holds without a hole.
//
// Made for 10 million pairs of (block, holder) and prompts of 2,048 blocks: one open-addressing table in 256
// parts that grow one at a time, three blocks to a cache line, read ahead of use; no tombstones (a bucket
// counts the blocks that went past it). A holder that is gone is masked at once; its blocks go as the table
// is swept, part by part.
//
// A decision class. Not thread-safe; Match calls may run together.

#include <cstddef>
#include <cstdint>
#include <optional>
#include <vector>

#include "absl/types/span.h"
#include "common/ids.h"
#include "services/router/policy/holder_sets.h"

namespace baton::router {

class PrefixIndex {
 public:
  using Holder = uint32_t;  // small; used again some time after it was retired

  PrefixIndex();

  // Nothing if there are HolderSets::kMostHolders.
  std::optional<Holder> AddHolder();
  // It holds nothing from now on, and is no holder any more.
  void Retire(Holder holder);
  // A part of the work that retired holders leave; true if there is more.
  bool Sweep();

  // Again: nothing happens.
  void Stored(Holder holder, absl::Span<const BlockHash> blocks);
  void Evicted(Holder holder, absl::Span<const BlockHash> blocks);

  // For every holder h below leading.size(): how many of `chain`'s first blocks it holds, up to its first
  // hole.
  void Match(absl::Span<const BlockHash> chain, absl::Span<uint32_t> leading) const;
  bool Holds(Holder holder, const BlockHash& block) const;

  uint64_t BlocksOf(Holder holder) const { return counts_[holder]; }
  size_t holders() const { return counts_.size(); }  // numbers ever used
  uint64_t pairs() const { return pairs_; }          // of holders that are not retired
  uint64_t blocks() const { return blocks_; }        // different ones, those not yet swept included
  size_t bytes() const;

 private:
  using Set = HolderSets::Set;
  static constexpr size_t kParts = 256;
  static constexpr int kSlots = 3;

  struct alignas(64) Bucket {
    BlockHash block[kSlots];
    Set set[kSlots] = {};  // 0: the slot is free
    uint32_t passed = 0;   // blocks that begin to be sought at or before here and were put further on
  };
  struct Part {
    std::vector<Bucket> buckets;
    size_t blocks = 0;
  };

  static size_t PartOf(const BlockHash& block) { return block.hi >> 56; }
  static const Set* Find(const Part& part, const BlockHash& block);
  static Set* Insert(Part* part, const BlockHash& block);
  void Erase(Part* part, Set* slot, const BlockHash& block);
  static void Grow(Part* part);
  void SweepPart(Part* part);
  void Prefetch(const BlockHash& block) const;

  std::vector<Part> parts_;
  HolderSets sets_;
  std::vector<uint64_t> counts_;  // by holder
  std::vector<uint64_t> live_;    // bitmap of holders
  std::vector<Holder> unused_;
  std::vector<Holder> retired_;   // to be swept in the next pass
  std::vector<Holder> sweeping_;  // in this one
  size_t swept_ = 0;              // parts in this pass
  uint64_t pairs_ = 0;
  uint64_t blocks_ = 0;
};

}  // namespace baton::router
