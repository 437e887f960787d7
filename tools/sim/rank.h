#pragma once

// A simulated rank: continuous batching with chunked prompts under a step's token budget, pages and prefix
// cache (cache_pool.h), preemption by recompute. As engine/scheduler does it; how long a step takes says the
// curve. Knows no time but what it is told.

#include <cstdint>
#include <deque>
#include <utility>
#include <vector>

#include "absl/container/flat_hash_map.h"
#include "tools/sim/cache_pool.h"
#include "tools/sim/curve.h"

namespace baton::simulator {

struct Job {
  uint32_t request = 0;
  uint32_t prompt = 0, answer = 0;
  CachePool::Chain chain{};
  bool hands_off = false;  // another rank decodes
};

struct StepResult {
  struct Chunk {
    uint32_t request = 0;
    uint32_t cached = 0;  // tokens of the prompt that were there when it began
    uint32_t done = 0;    // tokens of it that are there now
    bool last = false;    // all of them, and the first token
  };
  std::vector<Chunk> chunks;     // of prompts
  std::vector<uint32_t> tokens;  // requests that got a token after their first
  std::vector<uint32_t> finished;
};

class SimRank {
 public:
  // A prompt's step has at most `step_tokens`; pages hold `page_tokens`, which is also a chain's block.
  SimRank(const StepCurve& curve, double step_tokens, uint32_t page_tokens);

  // Computes its prompt, after those before; it decodes here too unless it hands off.
  void Enqueue(const Job& job);
  // Pages for a sequence whose keys and values will come. False: none are free.
  bool Reserve(const Job& job);
  // What need not be sent of a reserved one, as it is here already.
  uint32_t ReservedCached(uint32_t request) const;
  void KvArrived(uint32_t request);
  // A handoff is over: the pages of its prompt are only cached from now on.
  void HandedOff(uint32_t request);
  // Whatever is held for it, in any state but within a step.
  void Drop(uint32_t request);

  // How long the next step takes; 0: nothing to do. Every step that was begun is ended.
  double BeginStep();
  StepResult EndStep();
  bool stepping() const { return stepping_; }

  uint64_t running() const { return running_.size(); }
  uint64_t waiting() const { return queue_.size() + reserved_.size(); }
  uint64_t backlog_tokens() const;
  uint64_t context_tokens() const;
  uint64_t preempted() const { return preempted_; }
  double busy_s() const { return busy_s_; }
  CachePool& pool() { return pool_; }

 private:
  struct Sequence {
    Job job;
    CachePool::Hold hold;
    bool placed = false;  // has its pages
    uint32_t target =
        0;  // to compute before it decodes: the prompt, after preemption with what was generated
    uint32_t computed = 0, cached = 0, generated = 0;
  };
  uint64_t PagesFor(uint64_t tokens) const { return (tokens + page_tokens_ - 1) / page_tokens_; }
  bool TakePages(Sequence* sequence);
  void PlanPrompts(double budget, StepWork* work);
  void EndChunk(Sequence* sequence, uint32_t tokens, StepResult* result);
  void GrowOrPreempt();

  const StepCurve& curve_;
  const double step_tokens_;
  const uint32_t page_tokens_;
  CachePool pool_;
  std::deque<Sequence> queue_;     // prompts not yet computed, in order
  std::vector<Sequence> running_;  // decoding, in the order that they began
  absl::flat_hash_map<uint32_t, Sequence> reserved_, handing_off_;
  std::vector<std::pair<uint32_t, uint32_t>> planned_;  // this step's chunks: request, tokens
  size_t decoding_ = 0;                                 // of running_, in this step
  bool stepping_ = false;
  uint64_t preempted_ = 0;
  double busy_s_ = 0;
};

}  // namespace baton::simulator
