#include "services/router/policy/cluster_prefixes.h"

#include <algorithm>

#include "common/block_hash.h"

namespace baton::router {
namespace {

// A worker that publishes tells of a prompt soon after it was computed.
constexpr absl::Duration kUntilTold = absl::Seconds(10);
constexpr absl::Duration kUntold = absl::Seconds(120);
constexpr size_t kAssumedBlocks = 16384;

std::pair<uint64_t, uint32_t> Key(RankRef ref) {
  return {ref.worker, ref.rank};
}

}  // namespace

PromptBlocks HashPrompt(absl::Span<const BlockNaming> namings, const Id128& salt,
                        absl::Span<const TokenId> tokens) {
  PromptBlocks prompt{.tokens = static_cast<uint32_t>(tokens.size())};
  for (const BlockNaming& naming : namings) {
    if (naming.page_tokens == 0) continue;
    prompt.chains.push_back({naming, BlockHashes(RootBlockHash(naming.fingerprint, salt), tokens,
                                                 static_cast<int>(naming.page_tokens))});
  }
  return prompt;
}

void ClusterPrefixes::AddWorker(uint64_t worker, const BlockNaming& naming, bool publishes, uint64_t pages) {
  Worker& known = workers_[worker];
  known.naming = naming;
  known.limits = {.blocks = pages == 0 ? kAssumedBlocks : std::min<size_t>(pages, kAssumedBlocks),
                  .lifetime = publishes ? kUntilTold : kUntold};
}

void ClusterPrefixes::RemoveWorker(uint64_t worker) {
  const auto it = workers_.find(worker);
  if (it == workers_.end()) return;
  const std::vector<uint32_t> ranks = it->second.ranks;
  for (const uint32_t rank : ranks) RemoveRank({worker, rank});
  workers_.erase(it);
}

void ClusterPrefixes::RemoveRank(RankRef ref) {
  const auto rank = ranks_.find(Key(ref));
  told_.Retire(rank->second.told);
  assumed_.Retire(rank->second.assumed);
  ranks_.erase(rank);
  std::erase(workers_.at(ref.worker).ranks, ref.rank);
}

ClusterPrefixes::Rank* ClusterPrefixes::Find(RankRef ref) {
  if (const auto it = ranks_.find(Key(ref)); it != ranks_.end()) return &it->second;
  const auto worker = workers_.find(ref.worker);
  if (worker == workers_.end()) return nullptr;
  const std::optional<PrefixIndex::Holder> told = told_.AddHolder();
  if (!told) return nullptr;
  const std::optional<PrefixIndex::Holder> assumed = assumed_.AddHolder(worker->second.limits);
  if (!assumed) {
    told_.Retire(*told);
    return nullptr;
  }
  worker->second.ranks.push_back(ref.rank);
  return &(ranks_[Key(ref)] = {*told, *assumed});
}

void ClusterPrefixes::Change(uint64_t worker, const PrefixChange& change) {
  Rank* rank = Find({worker, change.rank});
  if (change.restart && rank != nullptr && told_.BlocksOf(rank->told) > 0) {
    RemoveRank({worker, change.rank});
    rank = Find({worker, change.rank});
  }
  if (rank == nullptr) return;
  told_.Evicted(rank->told, change.evicted);
  told_.Stored(rank->told, change.stored);
}

void ClusterPrefixes::Placed(RankRef ref, const PromptBlocks& prompt, MonoTime now) {
  const Rank* rank = Find(ref);
  if (rank == nullptr) return;
  const BlockNaming& naming = workers_.at(ref.worker).naming;
  for (const PromptBlocks::Chain& chain : prompt.chains) {
    if (chain.naming == naming) assumed_.Placed(rank->assumed, chain.blocks, now);
  }
}

void ClusterPrefixes::Expire(MonoTime now) {
  assumed_.Expire(now);
}

bool ClusterPrefixes::Sweep() {
  const bool assumed = assumed_.Sweep();
  return told_.Sweep() || assumed;
}

std::vector<BlockNaming> ClusterPrefixes::Namings() const {
  std::vector<BlockNaming> namings;
  for (const auto& [number, worker] : workers_) {
    if (std::find(namings.begin(), namings.end(), worker.naming) == namings.end())
      namings.push_back(worker.naming);
  }
  return namings;
}

void ClusterPrefixes::Match(const PromptBlocks& prompt, absl::Span<const RankRef> ranks,
                            std::vector<uint32_t>* held_tokens, std::vector<uint64_t>* held_blocks) const {
  held_tokens->assign(ranks.size(), 0);
  held_blocks->assign(ranks.size(), 0);
  std::vector<const Rank*> known(ranks.size());
  for (size_t i = 0; i < ranks.size(); ++i) {
    const auto it = ranks_.find(Key(ranks[i]));
    if (it == ranks_.end()) continue;
    known[i] = &it->second;
    (*held_blocks)[i] =
        std::max(told_.BlocksOf(it->second.told), assumed_.index().BlocksOf(it->second.assumed));
  }
  std::vector<uint32_t> told(told_.holders()), assumed(assumed_.index().holders());
  const uint32_t most = prompt.tokens == 0 ? 0 : prompt.tokens - 1;
  for (const PromptBlocks::Chain& chain : prompt.chains) {
    told_.Match(chain.blocks, absl::MakeSpan(told));
    assumed_.index().Match(chain.blocks, absl::MakeSpan(assumed));
    for (size_t i = 0; i < ranks.size(); ++i) {
      if (known[i] == nullptr) continue;
      const uint32_t blocks = std::max(told[known[i]->told], assumed[known[i]->assumed]);
      const uint32_t tokens = std::min(most, blocks * chain.naming.page_tokens);
      (*held_tokens)[i] = std::max((*held_tokens)[i], tokens);
    }
  }
}

PrefixCounts ClusterPrefixes::counts() const {
  return {
      .pairs = told_.pairs(), .blocks = told_.blocks(), .bytes = told_.bytes() + assumed_.index().bytes()};
}

}  // namespace baton::router
