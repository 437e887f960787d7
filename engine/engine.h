#pragma once

// An EngineCore on a thread of its own: receive, schedule, forward, emit. One rank.

#include <memory>

#include "absl/status/status.h"
#include "absl/time/time.h"
#include "engine/engine_core.h"

namespace baton {

class Engine {
 public:
  // Starts the thread. `runner`, `clock` and `sink` outlive the engine; the sink is called on the engine's
  // thread.
  Engine(const EngineOptions& options, ModelRunner* runner, const Clock* clock, EngineEventSink* sink);
  ~Engine();  // stops the thread; sequences still known get no further event
  Engine(const Engine&) = delete;
  Engine& operator=(const Engine&) = delete;

  // Thread-safe, never blocks. ResourceExhausted if the command queue is full; the commands that give
  // something back (Cancel, Fenced, Release, Adopt, Recompute, Publish) have room reserved and are refused
  // only after Stop.
  absl::Status Submit(EngineCommand command);

  // As of the last step; thread-safe.
  EngineLoad Load() const;
  // The first integrity violation found, or Ok; thread-safe.
  absl::Status Health() const;
  // When the engine's thread last came round its loop; a wedged engine stops advancing. Thread-safe.
  MonoTime LastProgress() const;

 private:
  struct Impl;
  std::unique_ptr<Impl> impl_;
};

}  // namespace baton
