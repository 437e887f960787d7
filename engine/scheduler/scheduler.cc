#include "engine/scheduler/scheduler.h"

#include <algorithm>

namespace baton {
namespace {

class Planner {
 public:
  Planner(const SchedulerOptions& options, absl::Span<const RunningView> running, int64_t available)
      : options_(options),
        running_(running),
        served_(std::min<size_t>(running.size(), options.max_running)),
        available_(available),
        budget_(options.token_budget),
        gone_(running.size()) {}

  void Decodes() {
    for (size_t i = 0; i < served_ && budget_ > 0; ++i) {
      if (gone_[i] || running_[i].remaining != 1) continue;
      if (!FindPages(i)) continue;
      available_ -= running_[i].missing_pages;
      Add({.index = i, .tokens = 1});
    }
  }

  void Prompts() {
    for (size_t i = 0; i < served_ && budget_ > 0; ++i) {
      if (gone_[i] || running_[i].remaining == 1) continue;
      Add({.index = i, .tokens = Chunk(running_[i].remaining)});
    }
  }

  void Admissions(size_t waiting, absl::FunctionRef<AdmissionCost(size_t)> cost) {
    if (batch_.stalled || !batch_.preempted.empty()) return;
    int64_t slots = options_.max_running - static_cast<int64_t>(running_.size());
    int64_t growing = std::ranges::count(running_, true, &RunningView::preemptable);
    for (size_t i = 0; i < waiting && budget_ > 0 && slots-- > 0; ++i) {
      const AdmissionCost wanted = cost(i);
      if (wanted.pages + growing > available_) return;
      available_ -= wanted.pages;
      growing += wanted.grows ? 1 : 0;
      Add({.index = i, .admitted = true, .tokens = Chunk(wanted.remaining)});
    }
  }

  Batch Take() { return std::move(batch_); }

 private:
  int64_t Chunk(int64_t remaining) const { return std::min({remaining, options_.prefill_chunk, budget_}); }

  void Add(BatchItem item) {
    budget_ -= item.tokens;
    batch_.items.push_back(item);
  }

  // Makes room for a decode, at the cost of those ranked lowest. False if it gets none in this step.
  bool FindPages(size_t needy) {
    while (running_[needy].missing_pages > available_) {
      size_t victim = running_.size();
      size_t candidates = 0;
      for (size_t i = 0; i < running_.size(); ++i) {
        if (gone_[i] || !running_[i].preemptable) continue;
        victim = i;
        ++candidates;
      }
      if (victim == running_.size() || (victim == needy && candidates == 1) || victim < needy) {
        batch_.stalled = true;
        return false;
      }
      gone_[victim] = true;
      batch_.preempted.push_back(victim);
      available_ += running_[victim].own_pages;
      if (victim == needy) return false;
    }
    return true;
  }

  const SchedulerOptions& options_;
  absl::Span<const RunningView> running_;
  const size_t served_;
  int64_t available_;
  int64_t budget_;
  std::vector<bool> gone_;
  Batch batch_;
};

}  // namespace

Batch Scheduler::Plan(absl::Span<const RunningView> running, size_t waiting, int64_t available,
                      absl::FunctionRef<AdmissionCost(size_t)> cost) const {
  Planner planner(options_, running, available);
  planner.Decodes();
  planner.Prompts();
  planner.Admissions(waiting, cost);
  return planner.Take();
}

bool Scheduler::MayReserve(int64_t pages, int64_t available, int64_t waiting_pages, int64_t growing) {
  return pages + waiting_pages + growing <= available;
}

}  // namespace baton
