#pragma once

// Byte pair encoding (Sennrich et al. 2016) in id space: a word starts as one token a byte; while some pair
// of neighbours has a merge, the pair of lowest rank, leftmost among equals, becomes one token. Immutable
// after setup, so thread-safe.

#include <array>
#include <cstdint>
#include <vector>

#include "absl/container/flat_hash_map.h"
#include "absl/strings/string_view.h"
#include "common/ids.h"

namespace baton {

class BpeMerger {
 public:
  BpeMerger() { byte_tokens_.fill(-1); }

  void SetByteToken(uint8_t byte, TokenId id) { byte_tokens_[byte] = id; }
  // Merges are given in rank order, lowest first. A pair given twice keeps its first rank.
  void AddMerge(TokenId left, TokenId right, TokenId merged);

  // Appends the word's tokens. Bytes for which the vocabulary has no token are left out, as Hugging Face
  // `tokenizers` does without an unknown token. O(n log n); returns the number of candidate pairs looked at,
  // which is at most 3n.
  uint64_t Encode(absl::string_view word, std::vector<TokenId>* out) const;

 private:
  struct Merge {
    uint32_t rank;
    TokenId merged;
  };
  const Merge* Find(TokenId left, TokenId right) const;
  uint64_t MergeShort(std::vector<TokenId>* ids, size_t begin) const;
  uint64_t MergeLong(std::vector<TokenId>* ids, size_t begin) const;

  std::array<TokenId, 256> byte_tokens_;
  absl::flat_hash_map<uint64_t, Merge> merges_;
};

}  // namespace baton
