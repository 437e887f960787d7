#pragma once

// What an engine is to the handoff's owner: computes prompts step by step, offers each step, seals, and
// reuses pages as soon as they are its own again. Not thread-safe.

#include <functional>
#include <map>
#include <string>
#include <vector>

#include "services/kv_transfer/handoff/types.h"
#include "tests/faults/guarded_pages.h"

namespace baton::faults {

// Of every handoff: eight steps, each one of two groups of layers of 64 tokens; the last atom is not full.
inline constexpr int64_t kTokens = 250;
inline constexpr int kSteps = 8;
inline constexpr Id128 kDigest{5, 55};
constexpr UnitRect StepRect(int step) {
  const int64_t begin = step / 2 * int64_t{64};
  const int32_t layer = step % 2 * (kLayout.layers / 2);
  return {begin, begin + 64 < kTokens ? begin + 64 : kTokens, layer, layer + kLayout.layers / 2};
}
constexpr UnitRect kWholeRect{0, kTokens, 0, kLayout.layers};

class OwnerSide {
 public:
  using Do = std::function<void(const HandoffCommand&)>;
  OwnerSide(GuardedPages* pages, absl::Duration step_time, Do act)
      : pages_(pages), step_time_(step_time), do_(std::move(act)) {}

  // ResourceExhausted: no pages.
  absl::Status Begin(const HandoffId& id, Epoch reader, MonoTime hard_deadline);
  // From now on, step by step until `steps` are done, then the seal, once, if `seal`. Unknown ids are
  // ignored.
  void Compute(const HandoffId& id, int steps, bool seal, MonoTime now);
  // Computes what is due.
  void Tick(MonoTime now);
  MonoTime NextDeadline() const;
  // The pages are free again, and overwritten before this returns.
  void OnEnded(const HandoffId& id);

 private:
  struct Prompt {
    PageLease pages;
    int done = 0, wanted = 0;
    bool seal = false, sealed = false;
    MonoTime next = absl::InfiniteFuture();
  };
  void Step(const HandoffId& id, MonoTime now);

  GuardedPages* const pages_;
  const absl::Duration step_time_;
  const Do do_;
  std::map<HandoffId, Prompt> prompts_;
};

}  // namespace baton::faults
