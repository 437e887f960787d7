#include "tests/faults/owner_side.h"

#include <algorithm>
#include <utility>

#include "common/status_macros.h"
#include "tests/faults/pattern.h"

namespace baton::faults {

absl::Status OwnerSide::Begin(const HandoffId& id, Epoch reader, MonoTime hard_deadline) {
  BATON_ASSIGN_OR_RETURN(PageLease lease, pages_->Take(kLayout.PagesFor(kTokens), PageHold::kUse));
  prompts_[id].pages = std::move(lease);
  do_(OwnBegin{id, 0, reader, 0, kTokens, hard_deadline});
  return absl::OkStatus();
}

void OwnerSide::Compute(const HandoffId& id, int steps, bool seal, MonoTime now) {
  const auto it = prompts_.find(id);
  if (it == prompts_.end()) return;
  it->second.wanted = steps;
  it->second.seal = seal;
  it->second.next = now;
  Tick(now);
}

void OwnerSide::Step(const HandoffId& id, MonoTime now) {
  const auto it = prompts_.find(id);
  if (it == prompts_.end()) return;  // what another's step has ended
  Prompt& prompt = it->second;
  if (prompt.done < prompt.wanted) {
    const UnitRect rect = StepRect(prompt.done++);
    const std::vector<PageId> pages(prompt.pages.pages().begin(), prompt.pages.pages().end());
    pages_->Fill(id, rect, pages);
    prompt.next = now + step_time_;
    do_(OwnOffer{id, rect.begin, rect.end, rect.first_layer, rect.end_layer, pages,
                 pages_->Checksums(rect, pages)});
  } else {
    prompt.next = absl::InfiniteFuture();
    if (prompt.seal && !std::exchange(prompt.sealed, true)) do_(OwnSeal{id, kDigest, FirstTokenOf(id)});
  }
}

void OwnerSide::Tick(MonoTime now) {
  std::vector<HandoffId> due;
  for (const auto& [id, prompt] : prompts_) {
    if (prompt.next <= now) due.push_back(id);
  }
  for (const HandoffId& id : due) Step(id, now);
}

MonoTime OwnerSide::NextDeadline() const {
  MonoTime next = absl::InfiniteFuture();
  for (const auto& [id, prompt] : prompts_) next = std::min(next, prompt.next);
  return next;
}

void OwnerSide::OnEnded(const HandoffId& id) {
  auto prompt = prompts_.extract(id);
  if (!prompt.empty()) pages_->Free(std::move(prompt.mapped().pages));
}

}  // namespace baton::faults
