#pragma once

// An EngineCore over a FakeRunner, with its events recorded by sequence.

#include <map>
#include <optional>
#include <set>
#include <vector>

#include "engine/engine_core.h"
#include "tests/support/fake_runner.h"

namespace baton {

// All that was heard of one sequence.
struct Heard {
  std::vector<TokenId> tokens;
  std::vector<TokenEvent> token_events;
  std::vector<ComputedEvent> computed;
  std::optional<ReservedEvent> reserved;
  std::optional<SharedEvent> shared;
  std::optional<TokenEvent> prefilled;
  std::optional<absl::Status> failed;
  FinishReason finish = FinishReason::kNone;
  bool over() const { return finish != FinishReason::kNone || failed.has_value() || prefilled.has_value(); }
};

class CoreHarness : public EngineEventSink {
 public:
  explicit CoreHarness(const FakeRunnerOptions& model = {}, const EngineOptions& options = {});

  void OnEngineEvent(EngineEvent event) override;
  void OnBlocks(absl::Span<const BlockChange> changes) override;

  void Handle(EngineCommand command) { core.Handle(std::move(command), now); }
  // Steps until there is no work, checking the books as it goes; fails the test after `limit` steps.
  void RunUntilIdle(int limit = 10000);
  Heard& operator[](SeqId id) { return heard[id]; }
  // Every page is free or cached.
  bool AtRest() const;

  FakeRunner runner;
  EngineCore core;
  std::map<SeqId, Heard> heard;
  std::set<BlockHash> blocks;  // of the prefix cache, as told
  MonoTime now = absl::UnixEpoch();
};

// `length` token ids that depend on `seed` alone.
std::vector<TokenId> RandomTokens(uint64_t seed, int64_t length, int vocab = 64);

// A greedy sequence.
SequenceSpec MakeSpec(std::vector<TokenId> tokens, int64_t max_tokens);

// What an undisturbed engine with room for all generates, alone, in whole prompts.
std::vector<TokenId> Undisturbed(const FakeRunnerOptions& model, const SequenceSpec& spec);

}  // namespace baton
