#include "services/router/registry/prefix_board.h"

#include <algorithm>
#include <utility>

namespace baton::router {
namespace {

constexpr int kSweepsInTick = 64;  // each with the lock taken anew

}  // namespace

void PrefixBoard::Report(uint64_t worker, uint64_t watch, const WorkerReport& report) {
  if (report.number != 0 && report.blocks.empty()) return;
  absl::MutexLock lock(&mutex_);
  uint64_t& latest = watch_of_[worker];
  if (watch < latest) return;
  latest = watch;
  if (report.number == 0) {
    uint64_t pages = 0;
    for (const RankReport& rank : report.ranks) pages = std::max(pages, rank.pages.total());
    prefixes_.AddWorker(worker, {report.facts.fingerprint, report.facts.page_tokens},
                        report.facts.publishes_blocks, pages);
  }
  for (const PrefixChange& change : report.blocks) prefixes_.Change(worker, change);
}

void PrefixBoard::Retain(absl::Span<const uint64_t> workers, uint64_t newest) {
  absl::MutexLock lock(&mutex_);
  for (auto it = watch_of_.begin(); it != watch_of_.end();) {
    if (it->first > newest || std::binary_search(workers.begin(), workers.end(), it->first)) {
      ++it;
      continue;
    }
    prefixes_.RemoveWorker(it->first);
    watch_of_.erase(it++);
  }
}

void PrefixBoard::Placed(absl::Span<const RankRef> ranks, const PromptBlocks& prompt, MonoTime now) {
  absl::MutexLock lock(&mutex_);
  for (const RankRef& rank : ranks) prefixes_.Placed(rank, prompt, now);
}

void PrefixBoard::Tick(MonoTime now) {
  {
    absl::MutexLock lock(&mutex_);
    prefixes_.Expire(now);
  }
  for (int i = 0; i < kSweepsInTick; ++i) {
    absl::MutexLock lock(&mutex_);
    if (!prefixes_.Sweep()) return;
  }
}

PromptBlocks PrefixBoard::Hash(const Id128& salt, absl::Span<const TokenId> tokens) const {
  std::vector<BlockNaming> namings;
  {
    absl::ReaderMutexLock lock(&mutex_);
    namings = prefixes_.Namings();
  }
  return HashPrompt(namings, salt, tokens);
}

HeldPrefixes PrefixBoard::Match(const PromptBlocks& prompt, absl::Span<const RankRef> ranks) const {
  HeldPrefixes held;
  absl::ReaderMutexLock lock(&mutex_);
  prefixes_.Match(prompt, ranks, &held.tokens, &held.blocks);
  return held;
}

PrefixCounts PrefixBoard::counts() const {
  absl::ReaderMutexLock lock(&mutex_);
  return prefixes_.counts();
}

}  // namespace baton::router
