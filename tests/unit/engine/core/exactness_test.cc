// Whatever the engine does with a sequence (chunks, batches, prefix hits, preemption, cancels beside it, a
// handoff held or lost), its tokens are those of an undisturbed run.

#include <gtest/gtest.h>

#include <algorithm>
#include <set>

#include "common/keyed_random.h"
#include "tests/unit/engine/core/core_harness.h"

namespace baton {
namespace {

// Draws of one scenario, by name of what they decide.
class Dice {
 public:
  explicit Dice(uint64_t seed) : seed_(seed) {}
  int64_t Below(int64_t n) {
    return static_cast<int64_t>(KeyedUniform(seed_, 5, draws_++) * static_cast<double>(n));
  }
  int64_t Between(int64_t low, int64_t high) { return low + Below(high - low + 1); }
  bool OneIn(int64_t n) { return Below(n) == 0; }
  uint64_t seed() const { return seed_; }

 private:
  uint64_t seed_;
  uint64_t draws_ = 0;
};

struct Totals {
  int64_t preemptions = 0, prefix_hits = 0, tokens = 0, cancels = 0, adopted = 0, lost = 0, refused = 0,
          prefilled = 0;
};

class Scenario {
 public:
  explicit Scenario(uint64_t seed)
      : dice_(seed),
        model_(Model(&dice_)),
        harness_(model_, Options(&dice_)),
        families_(dice_.Between(1, 4)) {}

  void Run(Totals* totals) {
    const int64_t sequences = dice_.Between(3, 10);
    for (SeqId id = 1; id <= static_cast<SeqId>(sequences); ++id) {
      Start(id);
      for (int64_t steps = dice_.OneIn(3) ? dice_.Below(80) : dice_.Below(6); steps > 0; --steps) Turn();
    }
    for (int turns = 0; !Done(); ++turns) {
      ASSERT_LT(turns, 5000) << "no end in sight";
      Turn();
    }
    for (SeqId id : prefills_) harness_.Handle(ReleaseCommand{id});
    for (SeqId id : unfenced_) harness_.Handle(FencedCommand{id});
    harness_.RunUntilIdle();
    EXPECT_TRUE(harness_.AtRest());
    Compare(totals);
    const EngineLoad load = harness_.core.Load();
    totals->preemptions += load.preemptions;
    totals->prefix_hits += load.prefix_hits;
    totals->tokens += load.generated_tokens;
  }

 private:
  static FakeRunnerOptions Model(Dice* dice) {
    FakeRunnerOptions model;
    model.layout.atoms_per_page = static_cast<int32_t>(dice->Between(1, 2));
    model.max_context = 160;
    model.pages = model.layout.PagesFor(model.max_context) + dice->Below(4);
    model.eos_period = dice->OneIn(2) ? 40 : 0;
    return model;
  }

  static EngineOptions Options(Dice* dice) {
    return {.token_budget = dice->Between(1, 70),
            .max_running = dice->Between(1, 8),
            .max_sequences = 64,
            .prefill_chunk = dice->Between(1, 50),
            .prefix_cache = !dice->OneIn(4)};
  }

  // A prompt that shares its beginning with others, or goes on from what an earlier sequence has said so far.
  std::vector<TokenId> Prompt() {
    if (!specs_.empty() && dice_.OneIn(3)) {
      const SeqId earlier = static_cast<SeqId>(dice_.Between(1, static_cast<int64_t>(specs_.size())));
      std::vector<TokenId> tokens = specs_[earlier].tokens;
      const std::vector<TokenId>& said = harness_[earlier].tokens;
      tokens.insert(tokens.end(), said.begin(), said.end());
      tokens.push_back(7);
      if (tokens.size() <= 120) return tokens;
    }
    const int64_t length = dice_.Between(1, 70);
    const int64_t shared = dice_.Below(length + 1);
    std::vector<TokenId> tokens = RandomTokens(1000 + dice_.Below(families_), shared);
    for (TokenId token : RandomTokens(dice_.seed() * 31 + specs_.size(), length - shared))
      tokens.push_back(token);
    return tokens;
  }

  SequenceSpec Spec() {
    const std::vector<TokenId> tokens = Prompt();
    const int64_t room = model_.max_context - static_cast<int64_t>(tokens.size());
    SequenceSpec spec = MakeSpec(tokens, dice_.Between(1, std::min<int64_t>(room, 80)));
    spec.priority = static_cast<int32_t>(dice_.Below(2));
    spec.stop_tokens = {0};
    spec.ignore_eos = dice_.OneIn(3);
    if (dice_.OneIn(2)) {
      spec.sampling.temperature = 0.9f;
      spec.sampling.top_p = 0.9f;
      spec.sampling.seed = dice_.seed();
      spec.sampling.frequency_penalty = dice_.OneIn(2) ? 0.5f : 0.0f;
    }
    return spec;
  }

  void Start(SeqId id) {
    const SequenceSpec spec = Spec();
    specs_[id] = spec;
    if (dice_.OneIn(4)) {
      prefills_.insert(id);
      harness_.Handle(PrefillCommand{id, spec});
    } else if (dice_.OneIn(3)) {
      harness_.Handle(ReserveCommand{id, spec});
      if (harness_[id].reserved.has_value()) pulling_.insert(id);
    } else {
      harness_.Handle(ServeCommand{id, spec});
    }
  }

  void Turn() {
    harness_.core.Step(harness_.now);
    if (!pulling_.empty() && dice_.OneIn(6)) EndPull(*pulling_.begin());
    if (!prefills_.empty() && dice_.OneIn(8)) {
      const SeqId id = *prefills_.begin();
      if (harness_[id].over()) {
        CheckOffered(id);
        harness_.Handle(ReleaseCommand{id});
        prefills_.erase(id);
      }
    }
    if (!unfenced_.empty() && dice_.OneIn(6)) {
      harness_.Handle(FencedCommand{*unfenced_.begin()});
      unfenced_.erase(unfenced_.begin());
    }
    if (dice_.OneIn(80)) Cancel(static_cast<SeqId>(dice_.Between(1, static_cast<int64_t>(specs_.size()))));
    if (dice_.OneIn(5)) {
      ASSERT_EQ(harness_.core.CheckIntegrity(), absl::OkStatus());
    }
  }

  // A reader's handoff ends: held, or lost, fenced or not.
  void EndPull(SeqId id) {
    const SequenceSpec& spec = specs_[id];
    pulling_.erase(id);
    if (dice_.OneIn(2)) {
      const ReservedEvent& reserved = *harness_[id].reserved;
      harness_.runner.Fill(spec.tokens, reserved.pages, reserved.cached_tokens);
      harness_.Handle(AdoptCommand{id, Undisturbed(model_, spec)[0]});
      ++adopted_;
      return;
    }
    const bool fenced = dice_.OneIn(2);
    if (!fenced) unfenced_.insert(id);
    harness_.Handle(RecomputeCommand{id, fenced});
    ++lost_;
  }

  void Cancel(SeqId id) {
    if (harness_[id].over()) return;
    cancelled_.insert(id);
    if (pulling_.erase(id) > 0) unfenced_.insert(id);
    harness_.Handle(CancelCommand{id, false});
  }

  // The pages that were offered still hold the prompt, all layers of it were offered once, in order.
  void CheckOffered(SeqId id) {
    const Heard& heard = harness_[id];
    if (!heard.prefilled.has_value()) return;
    const int64_t length = static_cast<int64_t>(specs_[id].tokens.size());
    std::vector<int64_t> until(model_.layout.layers, 0);
    for (const ComputedEvent& event : heard.computed) {
      for (int layer = event.first_layer; layer < event.end_layer; ++layer) {
        ASSERT_EQ(until[layer], event.begin);
        until[layer] = event.end;
      }
    }
    EXPECT_EQ(until, std::vector<int64_t>(model_.layout.layers, length));
    EXPECT_EQ(harness_.runner.ReadTokens(heard.computed.back().pages, length), specs_[id].tokens);
    ++checked_;
  }

  bool Done() {
    for (const auto& [id, spec] : specs_) {
      if (!harness_[id].over() && !cancelled_.contains(id)) return false;
    }
    return true;
  }

  void Compare(Totals* totals) {
    for (const auto& [id, spec] : specs_) {
      const Heard& heard = harness_[id];
      const std::vector<TokenId> expected = Undisturbed(model_, spec);
      if (heard.failed.has_value()) {
        EXPECT_EQ(heard.failed->code(), absl::StatusCode::kResourceExhausted) << *heard.failed;
        EXPECT_TRUE(heard.tokens.empty());
        ++totals->refused;
      } else if (heard.prefilled.has_value()) {
        EXPECT_EQ(heard.prefilled->token, expected[0]);
        ++totals->prefilled;
      } else if (cancelled_.contains(id)) {
        ASSERT_LE(heard.tokens.size(), expected.size());
        EXPECT_TRUE(std::equal(heard.tokens.begin(), heard.tokens.end(), expected.begin()));
        ++totals->cancels;
      } else {
        EXPECT_EQ(heard.tokens, expected);
      }
      for (size_t i = 0; i < heard.token_events.size(); ++i) {
        EXPECT_EQ(heard.token_events[i].position, static_cast<int64_t>(i));
      }
    }
    totals->adopted += adopted_;
    totals->lost += lost_;
  }

  Dice dice_;
  FakeRunnerOptions model_;
  CoreHarness harness_;
  int64_t families_;
  std::map<SeqId, SequenceSpec> specs_;
  std::set<SeqId> prefills_, pulling_, unfenced_, cancelled_;
  int64_t adopted_ = 0, lost_ = 0, checked_ = 0;
};

TEST(ExactnessTest, NothingThatHappensChangesAToken) {
  Totals totals;
  for (uint64_t seed = 1; seed <= 2000; ++seed) {
    SCOPED_TRACE(seed);
    Scenario(seed).Run(&totals);
    if (HasFailure()) break;
  }
  std::printf(
      "preemptions %ld, prefix hits %ld, tokens %ld, cancels %ld, adopted %ld, lost %ld, refused %ld, "
      "prefilled %ld\n",
      totals.preemptions, totals.prefix_hits, totals.tokens, totals.cancels, totals.adopted, totals.lost,
      totals.refused, totals.prefilled);
  EXPECT_GT(totals.preemptions, 200);
  EXPECT_GT(totals.prefix_hits, 1000);
  EXPECT_GT(totals.cancels, 300);
  EXPECT_GT(totals.adopted, 300);
  EXPECT_GT(totals.lost, 300);
  EXPECT_GT(totals.prefilled, 1000);
}

}  // namespace
}  // namespace baton
