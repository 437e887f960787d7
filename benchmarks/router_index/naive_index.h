#pragma once

// The index that one writes first, to compare with: a hash map from a block to the ordered ranks that hold
// it, walked block by block.

#include <cstdint>
#include <vector>

#include "absl/container/flat_hash_map.h"
#include "absl/types/span.h"
#include "common/ids.h"

namespace baton::router {

class NaiveIndex {
 public:
  void Stored(uint32_t rank, absl::Span<const BlockHash> blocks);
  // As PrefixIndex::Match.
  void Match(absl::Span<const BlockHash> chain, absl::Span<uint32_t> leading) const;

 private:
  absl::flat_hash_map<BlockHash, std::vector<uint32_t>> holders_;
};

}  // namespace baton::router
