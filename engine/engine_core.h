#pragma once

// The engine without its thread: commands in, Step, events out. Owns the page pool, the prefix index, the
// scheduler's queues and the sequences; computes through a ModelRunner. Deterministic: the same commands and
// steps give the same events, so the simulator runs this very class. Not thread-safe.

#include <memory>

#include "absl/status/status.h"
#include "common/clock.h"
#include "engine/model/runner.h"
#include "engine/types.h"

namespace baton {

struct EngineOptions {
  int64_t token_budget = 512;    // tokens a step computes at most, decodes and prompt chunks together
  int64_t max_running = 64;      // sequences decoding at once
  int64_t max_sequences = 1024;  // sequences known at once, in any state; one more is refused
  int64_t prefill_chunk = 256;   // tokens of one prompt in a step at most
  bool prefix_cache = true;
};

class EngineCore {
 public:
  // `runner` and `sink` outlive the core.
  EngineCore(const EngineOptions& options, ModelRunner* runner, EngineEventSink* sink);
  ~EngineCore();

  // Takes one command; may emit events at once.
  void Handle(EngineCommand command, MonoTime now);

  // Runs one step of the model if there is work: schedule, forward, sample, emit. False if there was nothing
  // to do.
  bool Step(MonoTime now);
  // Whether Step could do something now. False also while all that is left waits for a command (pages to come
  // back).
  bool HasWork() const;
  // When Step should be called at the latest, work or not: a sequence runs out of time.
  MonoTime NextDeadline() const;

  EngineLoad Load() const;
  // Whether every page is in one class, classes sum to the total, and no page is reachable twice. Run
  // whenever idle.
  absl::Status CheckIntegrity() const;

 private:
  struct Impl;
  std::unique_ptr<Impl> impl_;
};

}  // namespace baton
