#include "tests/unit/engine/core/core_harness.h"

#include <gtest/gtest.h>

#include <type_traits>

#include "common/keyed_random.h"

namespace baton {

CoreHarness::CoreHarness(const FakeRunnerOptions& model, const EngineOptions& options)
    : runner(model), core(options, &runner, this) {}

void CoreHarness::OnEngineEvent(EngineEvent event) {
  std::visit(
      [this](auto& e) {
        using E = std::decay_t<decltype(e)>;
        Heard& h = heard[e.id];
        if constexpr (std::is_same_v<E, TokenEvent>) {
          EXPECT_FALSE(h.over()) << "an event after the end of " << e.id;
          h.tokens.push_back(e.token);
          h.finish = e.finish;
          h.token_events.push_back(std::move(e));
        } else if constexpr (std::is_same_v<E, ReservedEvent>) {
          h.reserved = std::move(e);
        } else if constexpr (std::is_same_v<E, SharedEvent>) {
          h.shared = std::move(e);
        } else if constexpr (std::is_same_v<E, ComputedEvent>) {
          h.computed.push_back(std::move(e));
        } else if constexpr (std::is_same_v<E, PrefilledEvent>) {
          EXPECT_FALSE(h.over());
          h.prefilled = std::move(e.first);
        } else {
          h.failed = std::move(e.status);
        }
      },
      event);
}

void CoreHarness::OnBlocks(absl::Span<const BlockChange> changes) {
  for (const BlockChange& change : changes) {
    if (change.stored) {
      EXPECT_TRUE(blocks.insert(change.block).second) << "stored twice";
    } else {
      EXPECT_EQ(blocks.erase(change.block), 1u) << "evicted what was not there";
    }
  }
  EXPECT_LE(static_cast<int64_t>(blocks.size()), runner.page_count());
}

void CoreHarness::RunUntilIdle(int limit) {
  int steps = 0;
  while (core.Step(now)) {
    ASSERT_LT(++steps, limit) << "no end in sight";
    if (steps % 7 == 0) {
      ASSERT_EQ(core.CheckIntegrity(), absl::OkStatus());
    }
  }
  ASSERT_EQ(core.CheckIntegrity(), absl::OkStatus());
  ASSERT_TRUE(runner.violations().empty()) << runner.violations().front();
}

bool CoreHarness::AtRest() const {
  const PageCounts pages = core.Load().pages;
  return pages.free + pages.cached == pages.total() && pages.total() == runner.page_count();
}

std::vector<TokenId> RandomTokens(uint64_t seed, int64_t length, int vocab) {
  std::vector<TokenId> tokens(length);
  for (int64_t i = 0; i < length; ++i) tokens[i] = static_cast<TokenId>(KeyedUniform(seed, 77, i) * vocab);
  return tokens;
}

SequenceSpec MakeSpec(std::vector<TokenId> tokens, int64_t max_tokens) {
  SequenceSpec spec;
  spec.prompt_tokens = static_cast<int64_t>(tokens.size());
  spec.tokens = std::move(tokens);
  spec.max_tokens = max_tokens;
  spec.sampling.temperature = 0;
  return spec;
}

std::vector<TokenId> Undisturbed(const FakeRunnerOptions& model, const SequenceSpec& spec) {
  FakeRunnerOptions roomy = model;
  roomy.pages = model.layout.PagesFor(model.max_context);
  CoreHarness harness(roomy, {.token_budget = 4096, .prefill_chunk = 4096, .prefix_cache = false});
  harness.Handle(ServeCommand{1, spec});
  harness.RunUntilIdle();
  EXPECT_FALSE(harness[1].failed.has_value()) << *harness[1].failed;
  return harness[1].tokens;
}

}  // namespace baton
