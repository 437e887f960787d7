#pragma once

// EngineCore on a simulated thread: takes commands between steps, and a step takes virtual time. Its model
// checks every KV byte that it attends to.

#include <deque>
#include <functional>
#include <string>
#include <vector>

#include "engine/engine_core.h"
#include "tests/sim/context.h"
#include "tests/support/fake_runner.h"

namespace baton::sim {

class SimEngine final : public EngineEventSink {
 public:
  // Runs on the worker's thread.
  using OnEvent = std::function<void(EngineEvent, std::vector<uint64_t> checksums)>;

  SimEngine(const Context& context, NodeId node, std::string name, const EngineOptions& options,
            int64_t pages, OnEvent on_event);

  void Submit(EngineCommand command);
  void OnEngineEvent(EngineEvent event) override;

  FakeRunner* runner() { return &runner_; }
  EngineLoad Load() const { return core_.Load(); }
  // Whether it has neither sequences nor anything to do, and all pages are free or cached; why not.
  std::string WhyNotAtBaseline() const;

 private:
  struct Emitted {
    EngineEvent event;
    std::vector<uint64_t> checksums;
  };
  static FakeRunnerOptions RunnerOptions(const Context& context, int64_t pages);
  void Kick();
  void Turn();
  void Check();
  std::vector<uint64_t> Checksums(const ComputedEvent& event, int64_t tokens);

  const Context& context_;
  const NodeId node_;
  const std::string name_;
  FakeRunner runner_;
  EngineCore core_;
  OnEvent on_event_;
  Strand to_worker_;
  std::deque<EngineCommand> commands_;
  std::map<SeqId, int64_t> prompts_;  // lengths, of prefills
  std::vector<Emitted> emitted_;
  bool turning_ = false;
  int64_t checked_steps_ = 0;
};

}  // namespace baton::sim
