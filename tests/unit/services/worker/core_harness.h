#pragma once

// A WorkerCore under a test's hand, and short ways to say what came out of it.

#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include <optional>
#include <variant>
#include <vector>

#include "services/worker/worker_core.h"

namespace baton {

struct CoreHarness {
  static WorkerCoreOptions Options(WorkerRole role) {
    WorkerCoreOptions options;
    options.role = role;
    options.ranks = 2;
    options.max_context = 512;
    options.vocab_size = 1000;
    options.emission_buffer = 4;
    options.max_calls = 8;
    return options;
  }

  explicit CoreHarness(WorkerRole role) : core(Options(role)) {}
  explicit CoreHarness(const WorkerCoreOptions& options) : core(options) {}

  static SequenceSpec Spec(int64_t tokens = 40) {
    SequenceSpec spec;
    for (int64_t i = 0; i < tokens; ++i) spec.tokens.push_back(static_cast<TokenId>(i));
    spec.prompt_tokens = tokens;
    spec.max_tokens = 8;
    return spec;
  }
  static DecodeCall Decode(uint64_t stream, uint32_t n = 0, bool with_source = true) {
    DecodeCall call{.stream = {1, stream}, .attempt = {1, n}, .rank = 1, .spec = Spec()};
    if (with_source) call.source = KvPeer{.endpoint = "inproc://owner", .epoch = {7, 7}};
    return call;
  }
  static PrefillCall Prefill(uint64_t stream, uint32_t n = 0) {
    return {.stream = {1, stream}, .attempt = {1, n}, .rank = 0, .spec = Spec(), .reader_epoch = {9, 9}};
  }

  void Engine(uint32_t rank, EngineEvent event, std::vector<uint64_t> checksums = {}) {
    core.OnEngineEvent(rank, std::move(event), std::move(checksums), now);
  }
  void Token(SeqId id, int64_t position, FinishReason finish = FinishReason::kNone) {
    Engine(1, TokenEvent{.id = id, .position = position, .token = 5, .finish = finish});
  }
  void Handoff(HandoffEvent event) { core.OnHandoffEvent(std::move(event), now); }

  // Takes what the core wants done; every list below is of that last taking.
  void Take() {
    engine.clear(), handoff.clear(), events.clear(), ended.clear();
    for (WorkerAction& action : core.TakeActions()) {
      if (auto* e = std::get_if<SendEngine>(&action)) engine.push_back(std::move(*e));
      if (auto* h = std::get_if<SendHandoff>(&action)) handoff.push_back(std::move(h->command));
      if (auto* e = std::get_if<EmitEvent>(&action)) events.push_back(std::move(*e));
      if (auto* e = std::get_if<EndCall>(&action)) ended.push_back(std::move(*e));
    }
    EXPECT_EQ(core.CheckIntegrity(), absl::OkStatus());
  }
  // The only command or event of that type in the last taking; null if there is none.
  template <typename T>
  const T* EngineCommandOf() const {
    return Only<T>(engine, [](const SendEngine& send) { return std::get_if<T>(&send.command); });
  }
  template <typename T>
  const T* HandoffCommandOf() const {
    return Only<T>(handoff, [](const HandoffCommand& command) { return std::get_if<T>(&command); });
  }
  template <typename T>
  const T* EventOf() const {
    return Only<T>(events, [](const EmitEvent& emit) { return std::get_if<T>(&emit.event); });
  }
  template <typename T, typename List, typename Get>
  static const T* Only(const List& list, Get get) {
    const T* found = nullptr;
    for (const auto& item : list) {
      if (const T* match = get(item)) {
        EXPECT_EQ(found, nullptr) << "more than one";
        found = match;
      }
    }
    return found;
  }
  absl::StatusCode EndedWith() const {
    EXPECT_EQ(ended.size(), 1u);
    return ended.empty() ? absl::StatusCode::kDataLoss : ended[0].status.code();
  }
  bool Quiet() const { return engine.empty() && handoff.empty() && events.empty() && ended.empty(); }

  // A decode call of stream 1 brought to the state where its pages are being pulled. Its sequence and
  // handoff.
  SeqId Pulling(CallId call = 1) {
    core.OnDecode(call, Decode(call), now);
    Take();
    const SeqId id = EngineCommandOf<ReserveCommand>()->id;
    Engine(1, ReservedEvent{id, {3, 4, 5}, 16});
    Take();
    return id;
  }
  static HandoffId Id(uint64_t stream, uint32_t n = 0) { return {{1, stream}, {1, n}}; }

  MonoTime now = absl::UnixEpoch() + absl::Hours(1);
  WorkerCore core;
  std::vector<SendEngine> engine;
  std::vector<HandoffCommand> handoff;
  std::vector<EmitEvent> events;
  std::vector<EndCall> ended;
};

}  // namespace baton
