#pragma once

// Names of prefix blocks: a 128-bit keyed chain hash (BLAKE2b, RFC 7693) over the numeric fingerprint, the
// tenant's salt and the tokens, so that equal names mean equal KV bytes and no tenant can guess another's
// (DESIGN section 5).

#include <vector>

#include "absl/strings/string_view.h"
#include "absl/types/span.h"
#include "common/ids.h"

namespace baton {

// A block has come into a rank's prefix cache, or left it.
struct BlockChange {
  BlockHash block;
  bool stored = false;
};

// A tenant's salt from what it calls itself; empty for "".
Id128 CacheSalt(absl::string_view tenant);
// The parent of a sequence's first block.
BlockHash RootBlockHash(absl::string_view fingerprint, const Id128& salt);
// The block of `tokens` that follows `parent`.
BlockHash NextBlockHash(const BlockHash& parent, absl::Span<const TokenId> tokens);
// One hash per full block of `block_tokens` tokens; a partial block at the end has none.
std::vector<BlockHash> BlockHashes(const BlockHash& root, absl::Span<const TokenId> tokens, int block_tokens);
// Digest of a whole token list, of any length (handoff Seal).
Id128 TokenDigest(absl::Span<const TokenId> tokens);
// TokenDigest of the first block, the first two, and so on: one for each full block.
std::vector<Id128> PrefixDigests(absl::Span<const TokenId> tokens, int block_tokens);

}  // namespace baton
