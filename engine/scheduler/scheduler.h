#pragma once

// The engine's policy for one step: which sequences compute how many tokens, who is admitted, who gives way.
// Pure: state in, plan out.
//
// Rank: higher priority first, then older; among those waiting, the preempted before the never started.
// In a step
//  1. sequences with one token to compute (decodes) go first, by rank, each taking a page if its last is
//  full;
//  2. a decode without a page preempts, by recompute, the lowest-ranked preemptable running sequence, itself
//     included; where it is the only preemptable one it stalls, keeping its pages: what it waits for is held
//     by prompts that never grow, by readers' leases or by reservations, all of which end by themselves;
//  3. unfinished prompts go on, by rank, in chunks;
//  4. waiting sequences are admitted strictly by rank, each only with all its pages at once and leaving a
//  page
//     for each running sequence that grows. None is admitted in a step that preempts or stalls.
// The highest-ranked running sequence is thus never preempted while another can be, and whoever is admitted
// computes at least one token before giving way: no livelock.

#include <cstdint>
#include <vector>

#include "absl/functional/function_ref.h"
#include "absl/types/span.h"

namespace baton {

struct SchedulerOptions {
  int64_t token_budget = 512;   // tokens a step, > 0
  int64_t max_running = 64;     // sequences served at once, > 0
  int64_t prefill_chunk = 256;  // tokens of one sequence a step, > 0
};

struct RunningView {
  int64_t remaining = 0;      // tokens not yet computed, >= 1
  int64_t missing_pages = 0;  // to compute them all: 0 but for a decode whose pages are full
  int64_t own_pages = 0;      // that preempting it would make available
  bool preemptable = true;
};

// What admission would do to the pool; asked only of sequences that the policy considers.
struct AdmissionCost {
  int64_t pages = 0;      // taken from those available
  int64_t remaining = 0;  // tokens to compute, after what the prefix cache has
  bool grows = true;      // it will decode here, and need more pages
};

struct BatchItem {
  size_t index = 0;  // in `running`, or in `waiting` for an admitted one
  bool admitted = false;
  int64_t tokens = 0;
};

struct Batch {
  std::vector<BatchItem> items;   // in the order of rules 1, 3, 4
  std::vector<size_t> preempted;  // indexes in `running`
  bool stalled = false;           // a decode found no page
};

class Scheduler {
 public:
  explicit Scheduler(const SchedulerOptions& options) : options_(options) {}

  // `running` and `waiting` are in order of rank; `waiting` counts the waiting sequences, whose costs are
  // asked by index. `available`: pages that can be allocated now.
  Batch Plan(absl::Span<const RunningView> running, size_t waiting, int64_t available,
             absl::FunctionRef<AdmissionCost(size_t)> cost) const;

  // Whether a reservation of `pages` may be granted now: not at the expense of waiting sequences of its rank
  // or higher, which need `waiting_pages`, nor of the `growing` ones that run, which may need a page each.
  static bool MayReserve(int64_t pages, int64_t available, int64_t waiting_pages, int64_t growing);

 private:
  SchedulerOptions options_;
};

}  // namespace baton
