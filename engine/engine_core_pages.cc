#include <algorithm>
#include <utility>
#include <vector>

#include "absl/strings/str_cat.h"
#include "common/block_hash.h"
#include "common/status_macros.h"
#include "engine/engine_core_state.h"

namespace baton {

void EngineCore::Impl::ExtendHashes(Sequence* sequence, int64_t blocks) {
  const int64_t tokens = layout.PageTokens();
  std::vector<BlockHash>& hashes = sequence->hashes;
  for (int64_t block = static_cast<int64_t>(hashes.size()); block < blocks; ++block) {
    const BlockHash parent =
        block == 0 ? RootBlockHash(runner->fingerprint(), sequence->spec.cache_salt) : hashes.back();
    hashes.push_back(
        NextBlockHash(parent, absl::MakeConstSpan(sequence->spec.tokens).subspan(block * tokens, tokens)));
  }
}

absl::Span<const BlockHash> EngineCore::Impl::MatchableHashes(Sequence* sequence) {
  if (!options.prefix_cache) return {};
  const int64_t blocks = (sequence->length() - 1) / layout.PageTokens();
  ExtendHashes(sequence, blocks);
  return absl::MakeConstSpan(sequence->hashes).first(blocks);
}

int64_t EngineCore::Impl::AdmissionPages(const Sequence& sequence) const {
  const bool whole = sequence.kind == SequenceKind::kServe;
  return layout.PagesFor(std::min(sequence.length() + 1, LargestKvTokens(sequence.spec, whole)));
}

bool EngineCore::Impl::TakePages(Sequence* sequence, int64_t pages, PageHold hold) {
  PageLease found = cache.Match(MatchableHashes(sequence), PageHold::kUse);
  std::optional<PageLease> fresh = cache.Allocate(pages - found.size(), hold);
  if (!fresh.has_value()) return false;
  sequence->indexed = found.size();
  sequence->computed = found.size() * layout.PageTokens();
  if (sequence->reused < 0) sequence->reused = sequence->computed;
  if (!found.empty()) {
    ++counters.prefix_hits;
    counters.prefix_hit_tokens += sequence->computed;
  }
  sequence->pages = std::move(found);
  (hold == PageHold::kPull ? sequence->pulling : sequence->pages).Append(*std::move(fresh));
  return true;
}

bool EngineCore::Impl::MayReserve(int64_t pages, int32_t priority) const {
  int64_t waiting_pages = 0;
  for (const auto& [rank, other] : waiting) {
    if (other->spec.priority < priority || waiting_pages > cache.available()) break;
    waiting_pages += AdmissionPages(*other);
  }
  const int64_t growing = std::ranges::count_if(
      running, [](const auto& entry) { return entry.second->kind == SequenceKind::kServe; });
  return Scheduler::MayReserve(pages, cache.available(), waiting_pages, growing);
}

bool EngineCore::Impl::Reserve(Sequence* sequence) {
  const int64_t pages = layout.PagesFor(sequence->length());
  const int64_t taken = pages - cache.Peek(MatchableHashes(sequence)).held;
  return MayReserve(taken, sequence->spec.priority) && TakePages(sequence, pages, PageHold::kPull);
}

void EngineCore::Impl::IndexBlocks(Sequence* sequence) {
  if (!options.prefix_cache) return;
  const int64_t full = sequence->computed / layout.PageTokens();
  ExtendHashes(sequence, full);
  const bool may_replace = sequence->kind == SequenceKind::kServe;
  while (sequence->indexable && sequence->indexed < full) {
    const auto hashes = absl::MakeConstSpan(sequence->hashes).first(sequence->indexed + 1);
    if (cache.Index(hashes, &sequence->pages, may_replace)) {
      ++sequence->indexed;
    } else {
      sequence->indexable = false;
    }
  }
}

void EngineCore::Impl::GiveBackPages(Sequence* sequence) {
  cache.Touch(absl::MakeConstSpan(sequence->hashes).first(sequence->indexed));
  sequence->pulling.Reset();
  sequence->pages.Reset();
  sequence->computed = 0;
  sequence->indexed = 0;
}

int64_t EngineCore::Impl::OwnPages(const Sequence& sequence) const {
  return std::ranges::count_if(sequence.pages.pages(), [&](PageId page) {
    return cache.pool().uses(page) == 1 && cache.pool().pins(page) == 0;
  });
}

absl::Status EngineCore::Impl::CheckSequence(const Sequence& s) const {
  const int64_t pages = s.pages.size();
  const bool pages_fit = s.phase == Phase::kPulling ? pages + s.pulling.size() == layout.PagesFor(s.length())
                         : s.phase == Phase::kRunning
                             ? s.pulling.empty() && pages >= layout.PagesFor(s.computed)
                             : s.pulling.empty() && pages == 0 && s.computed == 0;
  if (!pages_fit || s.computed < 0 || s.computed > s.length() || s.indexed > pages) {
    return absl::InternalError(absl::StrCat("sequence ", s.id, " has ", pages, " and ", s.pulling.size(),
                                            " pages for ", s.computed, " of ", s.length(), " tokens"));
  }
  const auto& queue = s.phase == Phase::kWaiting ? waiting : running;
  const auto it = queue.find(s.rank());
  if (s.phase != Phase::kPulling && (it == queue.end() || it->second != &s)) {
    return absl::InternalError(absl::StrCat("sequence ", s.id, " is in no queue"));
  }
  return absl::OkStatus();
}

absl::Status EngineCore::Impl::CheckHolders() const {
  struct Holders {
    uint32_t uses = 0, pins = 0, exclusive = 0;
  };
  std::vector<Holders> holders(cache.pool().size());
  const auto count = [&](const PageLease& lease) {
    for (PageId page : lease.pages()) {
      if (lease.hold() == PageHold::kUse) ++holders[page].uses;
      if (lease.hold() == PageHold::kPin) ++holders[page].pins;
      if (lease.hold() == PageHold::kPull || lease.hold() == PageHold::kQuarantine) ++holders[page].exclusive;
    }
  };
  for (const auto& [id, sequence] : sequences) {
    count(sequence->pages);
    count(sequence->pulling);
  }
  for (const auto& [id, fetch] : fetches) {
    count(fetch.cached);
    count(fetch.pulling);
  }
  for (const auto& [id, lease] : retained) count(lease);
  for (PageId page = 0; page < cache.pool().size(); ++page) {
    const Holders& h = holders[page];
    const PageClass page_class = cache.pool().class_of(page);
    const bool exclusive = page_class == PageClass::kPulling || page_class == PageClass::kQuarantined;
    if (h.uses != cache.pool().uses(page) || h.pins != cache.pool().pins(page) ||
        h.exclusive != (exclusive ? 1 : 0)) {
      return absl::InternalError(absl::StrCat("page ", page, " is held by others than its books say"));
    }
    if (h.uses + h.pins > 1 && !cache.pool().indexed(page)) {
      return absl::InternalError(absl::StrCat("page ", page, " is shared without being a prefix block"));
    }
  }
  return absl::OkStatus();
}

absl::Status EngineCore::Impl::CheckIntegrity() const {
  BATON_RETURN_IF_ERROR(cache.CheckIntegrity());
  size_t queued = 0;
  for (const auto& [id, sequence] : sequences) {
    BATON_RETURN_IF_ERROR(CheckSequence(*sequence));
    if (sequence->phase != Phase::kPulling) ++queued;
  }
  if (queued != waiting.size() + running.size())
    return absl::InternalError("a queue holds a sequence that has ended");
  return CheckHolders();
}

}  // namespace baton
