// Prefix blocks that move between engines: Fetch, Publish, Share.

#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include "tests/unit/engine/core/core_harness.h"

namespace baton {
namespace {

PageCounts Pages(CoreHarness& h) {
  return h.core.Load().pages;
}

// What a held handoff does.
void Copy(CoreHarness& from, absl::Span<const PageId> source, CoreHarness& to,
          absl::Span<const PageId> target) {
  for (size_t i = 0; i < target.size(); ++i) {
    std::copy_n(from.runner.PageData(source[i]), from.runner.kv_layout().PageBytes(),
                to.runner.PageData(target[i]));
  }
}

void Move(CoreHarness& from, CoreHarness& to, SeqId id, const std::vector<TokenId>& tokens) {
  from.Handle(ShareCommand{id, tokens, {}});
  ASSERT_TRUE(from[id].shared.has_value());
  const std::vector<TokenId> shared(tokens.begin(), tokens.begin() + from[id].shared->tokens);
  to.Handle(FetchCommand{id, shared, {}});
  ASSERT_TRUE(to[id].reserved.has_value());
  const size_t cached = to[id].reserved->cached_tokens / from.runner.kv_layout().PageTokens();
  Copy(from, absl::MakeConstSpan(from[id].shared->pages).subspan(cached), to,
       absl::MakeConstSpan(to[id].reserved->pages).subspan(cached));
  to.Handle(PublishCommand{id});
  from.Handle(ReleaseCommand{id});
}

TEST(FetchTest, BlocksAreVisibleOnlyWhenPublished) {
  CoreHarness h;
  const SequenceSpec spec = MakeSpec(RandomTokens(1, 60), 10);
  h.Handle(FetchCommand{1, spec.tokens, {}});
  ASSERT_TRUE(h[1].reserved.has_value());
  EXPECT_EQ(h[1].reserved->pages.size(), 3u);  // the fourth page is not full
  EXPECT_EQ(h[1].reserved->cached_tokens, 0);
  EXPECT_EQ(h[1].reserved->tokens, 48);
  EXPECT_EQ(Pages(h).pulling, 3);
  EXPECT_FALSE(h.core.HasWork());
  h.Handle(ShareCommand{2, spec.tokens, {}});
  EXPECT_EQ(h[2].shared->tokens, 0);
  h.Handle(ReleaseCommand{2});

  h.runner.Fill(absl::MakeConstSpan(spec.tokens).first(48), h[1].reserved->pages);
  h.Handle(PublishCommand{1});
  EXPECT_EQ(Pages(h).cached, 3);
  EXPECT_EQ(h.core.Load().fetched_tokens, 48);
  h.Handle(ServeCommand{3, spec});
  h.RunUntilIdle();
  EXPECT_EQ(h.core.Load().prefix_hit_tokens, 48);
  EXPECT_EQ(h[3].tokens, Undisturbed({}, spec));
  EXPECT_TRUE(h.AtRest());
}

TEST(FetchTest, ReservesOnlyWhatIsMissingAndKeepsTheRest) {
  CoreHarness h({.pages = 8, .max_context = 128});
  const std::vector<TokenId> tokens = RandomTokens(2, 64);
  h.Handle(ServeCommand{1, MakeSpec({tokens.begin(), tokens.begin() + 40}, 2)});
  h.RunUntilIdle();
  h.Handle(FetchCommand{2, tokens, {}});
  EXPECT_EQ(h[2].reserved->cached_tokens, 32);
  EXPECT_EQ(Pages(h).pulling, 2);
  EXPECT_EQ(Pages(h).used, 2);  // the prefix it stands on cannot be evicted meanwhile
  h.runner.Fill(tokens, h[2].reserved->pages, 32);
  h.Handle(PublishCommand{2});
  EXPECT_EQ(h.core.CheckIntegrity(), absl::OkStatus());
  h.Handle(FetchCommand{3, tokens, {}});
  EXPECT_EQ(h[3].reserved->cached_tokens, 64);
  h.Handle(PublishCommand{3});
  EXPECT_TRUE(h.AtRest());
}

TEST(FetchTest, ACopyThatWasComputedMeanwhileIsKept) {
  CoreHarness h;
  const SequenceSpec spec = MakeSpec(RandomTokens(3, 33), 2);
  h.Handle(FetchCommand{1, spec.tokens, {}});
  h.Handle(ServeCommand{2, spec});
  h.RunUntilIdle();
  h.runner.Fill(absl::MakeConstSpan(spec.tokens).first(32), h[1].reserved->pages);
  h.Handle(PublishCommand{1});
  EXPECT_EQ(Pages(h).cached, 2);
  EXPECT_TRUE(h.AtRest());
  EXPECT_EQ(h.core.CheckIntegrity(), absl::OkStatus());
}

TEST(FetchTest, CancelledUnfencedIsQuarantinedUntilHeldLostOrFenced) {
  for (int how = 0; how < 3; ++how) {
    CoreHarness h;
    h.Handle(FetchCommand{1, RandomTokens(4, 40), {}});
    h.Handle(CancelCommand{1, false});
    EXPECT_EQ(Pages(h).quarantined, 2);
    h.Handle(FetchCommand{1, RandomTokens(4, 40), {}});
    EXPECT_EQ(h[1].failed->code(), absl::StatusCode::kAlreadyExists);
    if (how == 0) h.Handle(FencedCommand{1});
    if (how == 1) h.Handle(CancelCommand{1, true});
    if (how == 2) h.Handle(PublishCommand{1});
    EXPECT_EQ(Pages(h).free, 64);
    EXPECT_EQ(h.core.Load().ignored_commands, 0);
  }
  CoreHarness h;
  h.Handle(FetchCommand{1, RandomTokens(4, 40), {}});
  h.Handle(CancelCommand{1, true});
  EXPECT_EQ(Pages(h).free, 64);
  h.Handle(PublishCommand{1});
  h.Handle(CancelCommand{1, false});
  EXPECT_EQ(h.core.Load().ignored_commands, 2);
}

TEST(FetchTest, IsRefusedInWords) {
  const auto refusal = [](CoreHarness& h, FetchCommand command) {
    const SeqId id = command.id;
    h.Handle(std::move(command));
    return h[id].failed.value_or(absl::OkStatus()).code();
  };
  CoreHarness h({.pages = 8, .max_context = 256}, {.max_sequences = 3});
  EXPECT_EQ(refusal(h, {1, RandomTokens(5, 15), {}}), absl::StatusCode::kInvalidArgument);
  EXPECT_EQ(refusal(h, {2, RandomTokens(5, 257), {}}), absl::StatusCode::kInvalidArgument);
  EXPECT_EQ(refusal(h, {3, RandomTokens(5, 144), {}}), absl::StatusCode::kResourceExhausted);
  EXPECT_EQ(refusal(h, {4, RandomTokens(5, 96), {}}), absl::StatusCode::kOk);
  h.Handle(ServeCommand{5, MakeSpec(RandomTokens(6, 40), 10)});
  EXPECT_EQ(refusal(h, {6, RandomTokens(5, 16), {}}), absl::StatusCode::kResourceExhausted);  // one waits
  h.Handle(ShareCommand{7, RandomTokens(5, 96), {}});
  EXPECT_EQ(refusal(h, {8, RandomTokens(7, 16), {}}), absl::StatusCode::kResourceExhausted);  // three ids
  h.Handle(ReleaseCommand{7});
  h.Handle(CancelCommand{4, true});
  h.RunUntilIdle();
  EXPECT_TRUE(h.AtRest());
  CoreHarness plain({}, {.prefix_cache = false});
  EXPECT_EQ(refusal(plain, {1, RandomTokens(5, 16), {}}), absl::StatusCode::kFailedPrecondition);
  plain.Handle(ShareCommand{2, RandomTokens(5, 16), {}});
  EXPECT_EQ(plain[2].shared->tokens, 0);
  plain.Handle(ReleaseCommand{2});
  EXPECT_EQ(plain.core.Load().ignored_commands, 0);
}

TEST(ShareTest, PinsWhileTheSequenceDecodesOnAndManyMayRead) {
  CoreHarness h;
  const SequenceSpec spec = MakeSpec(RandomTokens(8, 40), 60);
  h.Handle(ServeCommand{1, spec});
  while (h[1].tokens.size() < 30) ASSERT_TRUE(h.core.Step(h.now));
  std::vector<TokenId> known = spec.tokens;
  known.insert(known.end(), h[1].tokens.begin(), h[1].tokens.end());
  h.Handle(ShareCommand{2, known, {}});
  h.Handle(ShareCommand{3, known, {}});
  ASSERT_EQ(h[2].shared->tokens, 64);  // of 69 with keys and values, whole blocks
  EXPECT_EQ(h[3].shared->pages, h[2].shared->pages);
  EXPECT_EQ(h.core.Load().shared_tokens, 128);
  h.RunUntilIdle();
  EXPECT_EQ(Pages(h).pinned, 4);
  EXPECT_EQ(h.runner.ReadTokens(h[2].shared->pages, 64),
            std::vector<TokenId>(known.begin(), known.begin() + 64));
  h.Handle(ReleaseCommand{2});
  EXPECT_EQ(Pages(h).pinned, 4);
  h.Handle(ReleaseCommand{3});
  EXPECT_TRUE(h.AtRest());
  h.Handle(ReleaseCommand{3});
  EXPECT_EQ(h.core.Load().ignored_commands, 1);
}

TEST(ShareTest, SharedBlocksAreNotEvicted) {
  CoreHarness h({.pages = 8, .max_context = 128});
  const std::vector<TokenId> tokens = RandomTokens(9, 64);
  h.Handle(ServeCommand{1, MakeSpec(tokens, 2)});
  h.RunUntilIdle();
  h.Handle(ShareCommand{2, tokens, {}});
  h.Handle(ServeCommand{3, MakeSpec(RandomTokens(10, 60), 40)});
  h.RunUntilIdle();
  EXPECT_FALSE(h[3].over());
  EXPECT_EQ(h.runner.ReadTokens(h[2].shared->pages, 64), tokens);
  h.Handle(ReleaseCommand{2});
  h.RunUntilIdle();
  EXPECT_EQ(h[3].tokens.size(), 40u);
}

TEST(ShareTest, SaltsAndOtherTokensFindNothing) {
  CoreHarness h;
  const std::vector<TokenId> tokens = RandomTokens(11, 64);
  h.Handle(ServeCommand{1, MakeSpec(tokens, 2)});
  h.RunUntilIdle();
  h.Handle(ShareCommand{2, tokens, Id128{1, 2}});
  EXPECT_EQ(h[2].shared->tokens, 0);
  h.Handle(ShareCommand{3, RandomTokens(12, 64), {}});
  EXPECT_EQ(h[3].shared->tokens, 0);
  h.Handle(ShareCommand{4, RandomTokens(12, 600), {}});
  EXPECT_EQ(h[4].failed->code(), absl::StatusCode::kInvalidArgument);
}

// A sequence goes back and forth between two engines while it decodes, and ends as if it had never moved.
TEST(MoveTest, ASequenceThatMovesBackAndForthIsTheSame) {
  SequenceSpec spec = MakeSpec(RandomTokens(13, 37), 100);
  spec.sampling = {.temperature = 1.0f, .presence_penalty = 0.3f, .repetition_penalty = 1.1f, .seed = 5};
  CoreHarness a, b;
  CoreHarness* at = &a;
  CoreHarness* other = &b;
  SequenceSpec rest = spec;
  SeqId id = 1;
  for (; id < 6; ++id) {
    at->Handle(ServeCommand{id, rest});
    while ((*at)[id].tokens.size() < 17) ASSERT_TRUE(at->core.Step(at->now));
    rest.tokens.insert(rest.tokens.end(), (*at)[id].tokens.begin(), (*at)[id].tokens.end());
    Move(*at, *other, 100 + id, rest.tokens);
    at->Handle(CancelCommand{id, true});
    std::swap(at, other);
  }
  at->Handle(ServeCommand{id, rest});
  at->RunUntilIdle();
  rest.tokens.insert(rest.tokens.end(), (*at)[id].tokens.begin(), (*at)[id].tokens.end());
  EXPECT_EQ(std::vector<TokenId>(rest.tokens.begin() + 37, rest.tokens.end()), Undisturbed({}, spec));
  EXPECT_TRUE(a.AtRest() && b.AtRest());
  EXPECT_TRUE(a.runner.violations().empty() && b.runner.violations().empty());
  EXPECT_LT(b.core.Load().computed_tokens, 80);  // the prefix came, and was not computed
}

}  // namespace
}  // namespace baton
