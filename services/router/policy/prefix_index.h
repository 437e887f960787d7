#pragma once

// Who holds which prefix blocks, exactly, over all ranks (and pools): told of each block that a holder stores
// or evicts, in any order, it answers how many of a prompt's first blocks each holds without a hole.
//
// Made for 10 million pairs of (block, holder) and prompts of 2,048 blocks. Blocks lie in memory in the order
// in which they were first told of, each with a guess at the one behind it, so a prompt is mostly read in
// sequence; where the guess is wrong, an open-addressing table finds the block. The table has 256 parts that
// grow one at a time, and no tombstones (a bucket counts the blocks that went past it). A holder that is gone
// is masked at once; its blocks go as the table is swept, part by part.
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
  static constexpr int kSlots = 7;
  using Place = uint32_t;  // of a node; 0: none

  struct Node {
    BlockHash block;
    Set set = 0;     // 0: the node is free
    Place next = 0;  // a guess at what follows in a prompt
  };
  struct alignas(64) Bucket {
    uint32_t tag[kSlots];
    Place place[kSlots] = {};  // 0: the slot is free
    uint32_t passed = 0;       // blocks that begin to be sought at or before here and were put further on
  };
  struct Part {
    std::vector<Bucket> buckets;
    size_t blocks = 0;
  };

  static size_t PartOf(const BlockHash& block) { return block.hi >> 56; }
  static uint32_t TagOf(const BlockHash& block) { return static_cast<uint32_t>(block.hi); }
  Node* At(Place place) const { return nodes_.At(place); }
  Place Find(const BlockHash& block) const;
  Place Insert(const BlockHash& block);  // with an empty set, which the caller fills
  void Put(Part* part, const BlockHash& block, Place place);
  void Erase(Place place);
  void Grow(Part* part);
  void SweepPart(Part* part);
  void Prefetch(const BlockHash& block) const;

  std::vector<Part> parts_;
  ItemArena<Node> nodes_{1};
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
