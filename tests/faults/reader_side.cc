#include "tests/faults/reader_side.h"

#include <algorithm>
#include <utility>

#include "common/status_macros.h"
#include "tests/faults/owner_side.h"
#include "tests/faults/pattern.h"

namespace baton::faults {

absl::Status ReaderSide::Pull(const HandoffId& id, const KvPeer& owner, MonoTime deadline) {
  BATON_ASSIGN_OR_RETURN(PageLease lease, pages_->Take(kLayout.PagesFor(kTokens), PageHold::kPull));
  const std::vector<PageId> pages(lease.pages().begin(), lease.pages().end());
  pulling_[id] = std::move(lease);
  do_(PullBegin{id, owner, 0, 0, kTokens, pages, kDigest, deadline});
  return absl::OkStatus();
}

void ReaderSide::Attend(const HandoffId& id, PageLease pages, MonoTime now) {
  wrong_ += pages_->CountWrong(id, kWholeRect, pages.pages());
  ++attended_;
  attending_.push_back({id, std::move(pages), now + attend_time_});
}

void ReaderSide::OnHeld(const PullHeld& event, MonoTime now) {
  PageLease pages = std::move(pulling_.extract(event.id).mapped());
  pages.Convert(PageHold::kUse);
  wrong_ += event.first_token != FirstTokenOf(event.id);
  Attend(event.id, std::move(pages), now);
}

void ReaderSide::OnLost(const PullLost& event, MonoTime now) {
  PageLease pages = std::move(pulling_.extract(event.id).mapped());
  if (event.fenced) {
    pages_->Free(std::move(pages));
  } else {
    pages.Convert(PageHold::kQuarantine);
    quarantined_[event.id] = std::move(pages);
  }
  auto recomputed = pages_->Take(kLayout.PagesFor(kTokens), PageHold::kUse);
  if (!recomputed.ok()) return;  // shown by attended()
  pages_->Fill(event.id, kWholeRect, recomputed->pages());
  Attend(event.id, *std::move(recomputed), now);
}

void ReaderSide::OnFenced(const PullFenced& event) {
  pages_->Free(std::move(quarantined_.extract(event.id).mapped()));
}

void ReaderSide::Tick(MonoTime now) {
  const auto ends = std::partition(attending_.begin(), attending_.end(),
                                   [&](const Attended& sequence) { return now < sequence.until; });
  for (auto it = ends; it != attending_.end(); ++it) {
    wrong_ += pages_->CountWrong(it->id, kWholeRect, it->pages.pages());
    pages_->Free(std::move(it->pages));
  }
  attending_.erase(ends, attending_.end());
}

MonoTime ReaderSide::NextDeadline() const {
  MonoTime next = absl::InfiniteFuture();
  for (const Attended& sequence : attending_) next = std::min(next, sequence.until);
  return next;
}

}  // namespace baton::faults
