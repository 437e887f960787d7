#pragma once

// What every rank's prefix cache holds, as its worker tells (Watch) and as this router's own placements let
// one assume, and how much of a prompt that is.
//
// Workers name blocks by a chain hash of their fingerprint, the tenant's salt, and the tokens in blocks of a
// page (common/block_hash.h); a prompt is hashed once for each way of naming there is. A decision class, not
// thread-safe; const calls may run together.

#include <compare>
#include <cstdint>
#include <string>
#include <vector>

#include "absl/container/flat_hash_map.h"
#include "absl/types/span.h"
#include "common/clock.h"
#include "services/router/policy/assumed_prefixes.h"
#include "services/router/policy/placement.h"
#include "services/router/policy/prefix_change.h"
#include "services/router/policy/prefix_index.h"

namespace baton::router {

struct BlockNaming {
  std::string fingerprint;
  uint32_t page_tokens = 0;
  auto operator<=>(const BlockNaming&) const = default;
};

// A prompt's whole blocks, under every naming.
struct PromptBlocks {
  struct Chain {
    BlockNaming naming;
    std::vector<BlockHash> blocks;
  };
  std::vector<Chain> chains;
  uint32_t tokens = 0;  // of the prompt
};
// Slow: 16 bytes of hash for each block and naming; to be called without a lock.
PromptBlocks HashPrompt(absl::Span<const BlockNaming> namings, const Id128& salt,
                        absl::Span<const TokenId> tokens);

struct PrefixCounts {
  uint64_t pairs = 0;   // of (block, rank), as told by workers
  uint64_t blocks = 0;  // different ones
  uint64_t bytes = 0;   // of the index
};

class ClusterPrefixes {
 public:
  // What is known of a worker's life, before any Change or Placed of it. `publishes`: it tells of its blocks.
  // `pages` of each rank; 0: unknown.
  void AddWorker(uint64_t worker, const BlockNaming& naming, bool publishes, uint64_t pages);
  void RemoveWorker(uint64_t worker);  // its ranks hold nothing from now on; unknown: nothing happens
  bool Knows(uint64_t worker) const { return workers_.contains(worker); }
  void Change(uint64_t worker, const PrefixChange& change);
  // The prompt will be computed, or its KV received, by `rank`.
  void Placed(RankRef rank, const PromptBlocks& prompt, MonoTime now);
  // Forgets assumptions that are too old.
  void Expire(MonoTime now);
  // A part of the work that removed ranks leave; true if there is more.
  bool Sweep();

  // Different ones of all workers.
  std::vector<BlockNaming> Namings() const;
  // In the order of `ranks`, unknown ones included: how many of the prompt's first tokens each holds, one
  // token less than all at most, since one must be computed; and how many blocks each holds in all.
  void Match(const PromptBlocks& prompt, absl::Span<const RankRef> ranks, std::vector<uint32_t>* held_tokens,
             std::vector<uint64_t>* held_blocks) const;
  PrefixCounts counts() const;

 private:
  struct Rank {
    PrefixIndex::Holder told = 0, assumed = 0;
  };
  struct Worker {
    BlockNaming naming;
    AssumedPrefixes::Limits limits;
    std::vector<uint32_t> ranks;
  };
  // Nullptr if the worker is unknown or there are too many ranks.
  Rank* Find(RankRef ref);
  void RemoveRank(RankRef ref);

  PrefixIndex told_;
  AssumedPrefixes assumed_;
  absl::flat_hash_map<uint64_t, Worker> workers_;
  absl::flat_hash_map<std::pair<uint64_t, uint32_t>, Rank> ranks_;
};

}  // namespace baton::router
