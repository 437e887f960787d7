// Damaged Share and Fetch requests against a worker's core and an engine that holds a prefix: each call ends,
// no page is lost, and nothing becomes cached that was not held.

#include <google/protobuf/stubs/logging.h>
#include <gtest/gtest.h>

#include <map>

#include "engine/engine_core.h"
#include "services/worker/worker_codec.h"
#include "tests/fuzz/handoff/mutate.h"
#include "tests/support/fake_runner.h"

namespace baton {
namespace {

constexpr int kMutations = 100000;

WorkerCoreOptions CoreOptions() {
  WorkerCoreOptions options;
  options.max_context = 512;
  options.vocab_size = 64;
  options.attempts.retention = absl::Seconds(1);
  return options;
}

class Target final : public EngineEventSink {
 public:
  Target() : engine_({.max_sequences = 32}, &runner_, this), core_(CoreOptions()) {
    SequenceSpec spec{
        .tokens = Prompt(), .prompt_tokens = 64, .sampling = {.temperature = 0}, .max_tokens = 2};
    engine_.Handle(ServeCommand{1u << 30, spec}, now_);
    while (engine_.Step(now_)) continue;
  }

  static std::vector<TokenId> Prompt() {
    std::vector<TokenId> tokens(64);
    for (int i = 0; i < 64; ++i) tokens[i] = (i * 7) % 64;
    return tokens;
  }

  void OnEngineEvent(EngineEvent event) override { events_.push_back(std::move(event)); }

  void Take(const v1::ShareRequest& request) {
    const auto call = codec::FromProto(request, now_);
    if (call.ok()) core_.OnShare(NewCall(), *call, now_);
    Pump();
  }
  void Take(const v1::FetchRequest& request) {
    const auto call = codec::FromProto(request, now_);
    if (call.ok()) core_.OnFetch(NewCall(), *call, now_);
    Pump();
  }

  void Take(const v1::PrefillRequest& request) {
    const auto call = codec::FromProto(request, now_);
    core_.OnRole(WorkerRole::kPrefill);
    if (call.ok()) core_.OnPrefill(NewCall(), *call, now_);
    Pump();
  }
  void Take(const v1::DecodeRequest& request) {
    const auto call = codec::FromProto(request, now_);
    core_.OnRole(WorkerRole::kDecode);
    if (call.ok()) core_.OnDecode(NewCall(), *call, now_);
    Pump();
  }

  // The handoff's answers: every pull is lost, every lease ends, some at once and some later.
  void Later(testing::Rng& rng) {
    now_ += absl::Milliseconds(20);
    while (!due_.empty() && rng() % 3 != 0) {
      core_.OnHandoffEvent(due_.back(), now_);
      due_.pop_back();
      Pump();
    }
    core_.OnTick(now_);
    Pump();
    ASSERT_EQ(core_.CheckIntegrity(), absl::OkStatus());
    ASSERT_EQ(engine_.CheckIntegrity(), absl::OkStatus());
  }

  void Settle() {
    core_.OnDrainDeadline(now_);
    Pump();
    while (!due_.empty()) {
      core_.OnHandoffEvent(due_.back(), now_);
      due_.pop_back();
      Pump();
    }
    EXPECT_EQ(core_.jobs(), 0u);
    EXPECT_TRUE(open_.empty());
    const PageCounts pages = engine_.Load().pages;
    EXPECT_EQ(pages.free + pages.cached, pages.total());
    EXPECT_EQ(pages.cached, 4);  // what was computed, and nothing else
    EXPECT_GT(engine_.Load().shared_tokens, 0);
    EXPECT_EQ(engine_.Load().fetched_tokens, 0);
  }

 private:
  CallId NewCall() {
    open_.insert(++last_call_);
    return last_call_;
  }

  void Pump() {
    for (std::vector<WorkerAction> actions = core_.TakeActions(); !actions.empty();
         actions = core_.TakeActions()) {
      for (WorkerAction& action : actions) Act(action);
    }
  }

  void Act(WorkerAction& action) {
    if (auto* send = std::get_if<SendEngine>(&action)) {
      engine_.Handle(std::move(send->command), now_);
      for (EngineEvent& event : std::exchange(events_, {})) {
        core_.OnEngineEvent(send->rank, std::move(event), {}, now_);
      }
    } else if (const auto* end = std::get_if<EndCall>(&action)) {
      EXPECT_EQ(open_.erase(end->call), 1u);
    } else if (const auto* handoff = std::get_if<SendHandoff>(&action)) {
      if (const auto* begin = std::get_if<OwnBegin>(&handoff->command))
        due_.emplace_back(OwnEnded{begin->id, false, "x"});
      if (const auto* pull = std::get_if<PullBegin>(&handoff->command)) {
        EXPECT_LE(pull->begin, pull->end);
        due_.emplace_back(PullLost{pull->id, absl::UnavailableError("x"), true});
      }
    }
  }

  MonoTime now_ = absl::UnixEpoch() + absl::Hours(1);
  FakeRunner runner_;
  EngineCore engine_;
  WorkerCore core_;
  CallId last_call_ = 0;
  std::set<CallId> open_;
  std::vector<EngineEvent> events_;
  std::vector<HandoffEvent> due_;
};

void Fill(v1::PrefixMove* move, uint64_t seed) {
  move->mutable_id()->set_hi(1 + seed % 5000);
  move->mutable_attempt()->set_n(static_cast<uint32_t>(seed / 5000 % 4));
  std::vector<TokenId> tokens = Target::Prompt();
  if (seed % 3 == 0) tokens.resize(160, 5);
  move->mutable_tokens()->Add(tokens.begin(), tokens.end());
  move->set_timeout_ms(500);
}

TEST(WorkerMovesFuzz, DamagedRequestsAreRefusedOrServedAndLoseNoPage) {
  const google::protobuf::LogSilencer silencer;
  Target target;
  testing::Rng rng(1);
  for (int i = 0; i < kMutations; ++i) {
    v1::ShareRequest share;
    v1::FetchRequest fetch;
    Fill(share.mutable_move(), rng());
    share.mutable_reader_epoch()->set_hi(3);
    *fetch.mutable_move() = share.move();
    fetch.mutable_source()->set_endpoint("tcp://127.0.0.1:1");
    const bool sharing = rng() % 2 == 0;
    std::string bytes = sharing ? share.SerializeAsString() : fetch.SerializeAsString();
    if (rng() % 4 != 0) testing::MutateBytes(rng, &bytes);
    if (sharing && share.ParseFromString(bytes)) target.Take(share);
    if (!sharing && fetch.ParseFromString(bytes)) target.Take(fetch);
    if (i % 10 == 0) target.Later(rng);
    ASSERT_FALSE(::testing::Test::HasFailure()) << "mutation " << i;
  }
  target.Settle();
}

// All four kinds of calls with the same few ids and attempts: one handoff is never made twice.
TEST(WorkerMovesFuzz, CallsOfEveryKindMayNameTheSameHandoff) {
  Target target;
  testing::Rng rng(2);
  for (int i = 0; i < kMutations / 2; ++i) {
    v1::ShareRequest share;
    v1::FetchRequest fetch;
    v1::PrefillRequest prefill;
    v1::DecodeRequest decode;
    Fill(share.mutable_move(), rng());
    share.mutable_move()->mutable_id()->set_hi(1 + rng() % 50);
    share.mutable_move()->mutable_attempt()->set_n(static_cast<uint32_t>(i / 1000));
    share.mutable_reader_epoch()->set_hi(3);
    *fetch.mutable_move() = share.move();
    fetch.mutable_source()->set_endpoint("tcp://127.0.0.1:1");
    v1::GenerateSpec* spec = prefill.mutable_spec();
    *spec->mutable_stream() = share.move().id();
    *spec->mutable_attempt() = share.move().attempt();
    *spec->mutable_tokens() = share.move().tokens();
    spec->set_prompt_tokens(static_cast<uint32_t>(spec->tokens_size()));
    spec->set_max_tokens(4);
    spec->set_timeout_ms(500);
    prefill.mutable_reader_epoch()->set_hi(3);
    *decode.mutable_spec() = *spec;
    if (rng() % 2 == 0) *decode.mutable_source() = fetch.source();
    for (uint64_t calls = 1 + rng() % 3; calls > 0; --calls) {
      const uint64_t kind = rng() % 4;
      if (kind == 0) target.Take(share);
      if (kind == 1) target.Take(fetch);
      if (kind == 2) target.Take(prefill);
      if (kind == 3) target.Take(decode);
    }
    if (i % 10 == 0) target.Later(rng);
    ASSERT_FALSE(::testing::Test::HasFailure()) << "call " << i;
  }
  target.Settle();
}

}  // namespace
}  // namespace baton
