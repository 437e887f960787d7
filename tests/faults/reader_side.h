#pragma once

// What an engine is to the handoff's reader: reserves pages, attends only to what is held, recomputes what is
// lost, and keeps pages quarantined until they are fenced. Not thread-safe.

#include <functional>
#include <map>
#include <vector>

#include "services/kv_transfer/handoff/types.h"
#include "tests/faults/guarded_pages.h"

namespace baton::faults {

class ReaderSide {
 public:
  using Do = std::function<void(const HandoffCommand&)>;
  // Sequences stay in use for `attend_time`, to see whether their bytes change.
  ReaderSide(GuardedPages* pages, absl::Duration attend_time, Do act)
      : pages_(pages), attend_time_(attend_time), do_(std::move(act)) {}

  // ResourceExhausted: no pages.
  absl::Status Pull(const HandoffId& id, const KvPeer& owner, MonoTime deadline);
  void Cancel(const HandoffId& id) { do_(PullCancel{id}); }

  void OnHeld(const PullHeld& event, MonoTime now);
  void OnLost(const PullLost& event, MonoTime now);
  void OnFenced(const PullFenced& event);

  // Ends what was attended to for long enough.
  void Tick(MonoTime now);
  MonoTime NextDeadline() const;

  // Wrong bytes attended to so far, a wrong first token among them.
  int64_t wrong() const { return wrong_; }
  int64_t attended() const { return attended_; }

 private:
  struct Attended {
    HandoffId id;
    PageLease pages;
    MonoTime until;
  };
  void Attend(const HandoffId& id, PageLease pages, MonoTime now);

  GuardedPages* const pages_;
  const absl::Duration attend_time_;
  const Do do_;
  std::map<HandoffId, PageLease> pulling_, quarantined_;
  std::vector<Attended> attending_;
  int64_t wrong_ = 0, attended_ = 0;
};

}  // namespace baton::faults
