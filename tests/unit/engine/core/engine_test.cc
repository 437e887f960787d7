// The engine on its thread.

#include "engine/engine.h"

#include <gtest/gtest.h>

#include <map>
#include <thread>
#include <vector>

#include "common/mutex.h"
#include "tests/support/fake_runner.h"
#include "tests/unit/engine/core/core_harness.h"

namespace baton {
namespace {

constexpr absl::Duration kPatience = absl::Seconds(30);

class Recorder : public EngineEventSink {
 public:
  void OnEngineEvent(EngineEvent event) override {
    MutexLock lock(&mutex_);
    if (auto* token = std::get_if<TokenEvent>(&event)) {
      tokens_[token->id].push_back(token->token);
      if (token->finish != FinishReason::kNone) ++ended_;
    } else if (auto* failed = std::get_if<FailedEvent>(&event)) {
      failed_[failed->id] = failed->status;
      ++ended_;
    }
  }

  bool AwaitEnded(int count) {
    MutexLock lock(&mutex_);
    return mutex_.Await([&]() ABSL_NO_THREAD_SAFETY_ANALYSIS { return ended_ >= count; }, kPatience);
  }
  std::vector<TokenId> tokens(SeqId id) {
    MutexLock lock(&mutex_);
    return tokens_[id];
  }
  absl::Status failed(SeqId id) {
    MutexLock lock(&mutex_);
    return failed_[id];
  }

 private:
  Mutex mutex_;
  std::map<SeqId, std::vector<TokenId>> tokens_ ABSL_GUARDED_BY(mutex_);
  std::map<SeqId, absl::Status> failed_ ABSL_GUARDED_BY(mutex_);
  int ended_ ABSL_GUARDED_BY(mutex_) = 0;
};

// Polls a published value until it is as wanted, up to a deadline.
template <typename Condition>
bool Eventually(Condition condition) {
  const absl::Time deadline = absl::Now() + kPatience;
  while (!condition()) {
    if (absl::Now() > deadline) return false;
    std::this_thread::yield();
  }
  return true;
}

TEST(EngineTest, ServesManySubmittersAndComesToRest) {
  FakeRunner runner({.pages = 40});
  const SteadyClock clock;
  Recorder recorder;
  Engine engine({.token_budget = 32, .max_running = 8, .prefill_chunk = 16}, &runner, &clock, &recorder);
  constexpr int kThreads = 3, kEach = 20;
  std::vector<std::thread> submitters;
  for (int t = 0; t < kThreads; ++t) {
    submitters.emplace_back([&engine, t] {
      for (int i = 0; i < kEach; ++i) {
        const SeqId id = t * kEach + i + 1;
        EXPECT_TRUE(engine.Submit(ServeCommand{id, MakeSpec(RandomTokens(id, 10 + i), 20)}).ok());
        EXPECT_GE(engine.Load().pages.total(), 40);
      }
    });
  }
  for (std::thread& submitter : submitters) submitter.join();
  ASSERT_TRUE(recorder.AwaitEnded(kThreads * kEach));
  for (int t = 0; t < kThreads; ++t) {
    for (int i = 0; i < kEach; i += 7) {
      const SeqId id = t * kEach + i + 1;
      EXPECT_EQ(recorder.tokens(id), Undisturbed({}, MakeSpec(RandomTokens(id, 10 + i), 20)));
    }
  }
  EXPECT_TRUE(Eventually([&] {
    const EngineLoad load = engine.Load();
    return load.running == 0 && load.pages.free + load.pages.cached == 40;
  }));
  EXPECT_EQ(engine.Health(), absl::OkStatus());
}

TEST(EngineTest, DeadlinesPassWithoutWork) {
  FakeRunner runner;
  const SteadyClock clock;
  Recorder recorder;
  Engine engine({}, &runner, &clock, &recorder);
  SequenceSpec spec = MakeSpec(RandomTokens(1, 20), 20);
  spec.deadline = clock.Now() + absl::Milliseconds(20);
  ASSERT_TRUE(engine.Submit(ReserveCommand{1, spec}).ok());
  ASSERT_TRUE(recorder.AwaitEnded(1));
  EXPECT_EQ(recorder.failed(1).code(), absl::StatusCode::kDeadlineExceeded);
  ASSERT_TRUE(engine.Submit(FencedCommand{1}).ok());
  EXPECT_TRUE(Eventually([&] { return engine.Load().pages.free == 64; }));
}

TEST(EngineTest, ProgressAdvancesWhileIdle) {
  FakeRunner runner;
  const SteadyClock clock;
  Recorder recorder;
  Engine engine({}, &runner, &clock, &recorder);
  const MonoTime before = engine.LastProgress();
  EXPECT_TRUE(Eventually([&] { return engine.LastProgress() > before; }));
}

// A runner whose Forward waits until told, so that commands pile up.
class StuckRunner : public ModelRunner {
 public:
  const KvLayout& kv_layout() const override { return fake_.kv_layout(); }
  int64_t page_count() const override { return fake_.page_count(); }
  std::byte* PageData(PageId page) override { return fake_.PageData(page); }
  int vocab_size() const override { return fake_.vocab_size(); }
  int64_t max_context() const override { return fake_.max_context(); }
  const std::string& model_id() const override { return fake_.model_id(); }
  const std::string& fingerprint() const override { return fake_.fingerprint(); }
  absl::Status Forward(absl::Span<const ForwardItem> items, LayerSink* sink,
                       absl::Span<float> logits) override {
    {
      MutexLock lock(&mutex_);
      stuck_ = true;
      mutex_.Await([this]() ABSL_NO_THREAD_SAFETY_ANALYSIS { return go_; }, kPatience);
    }
    return fake_.Forward(items, sink, logits);
  }
  bool AwaitStuck() {
    MutexLock lock(&mutex_);
    return mutex_.Await([this]() ABSL_NO_THREAD_SAFETY_ANALYSIS { return stuck_; }, kPatience);
  }
  void Go() {
    MutexLock lock(&mutex_);
    go_ = true;
  }

 private:
  FakeRunner fake_;
  Mutex mutex_;
  bool stuck_ ABSL_GUARDED_BY(mutex_) = false;
  bool go_ ABSL_GUARDED_BY(mutex_) = false;
};

TEST(EngineTest, AFullQueueStillTakesWhatGivesBack) {
  StuckRunner runner;
  const SteadyClock clock;
  Recorder recorder;
  Engine engine({.max_sequences = 4}, &runner, &clock, &recorder);
  ASSERT_TRUE(engine.Submit(ServeCommand{1, MakeSpec(RandomTokens(1, 20), 500 - 20)}).ok());
  ASSERT_TRUE(runner.AwaitStuck());
  SeqId id = 2;
  absl::Status status;
  while (status.ok() && id < 100)
    status = engine.Submit(ServeCommand{id++, MakeSpec(RandomTokens(2, 20), 5)});
  EXPECT_EQ(status.code(), absl::StatusCode::kResourceExhausted);
  const SeqId accepted = id - 1;
  for (SeqId cancel = 1; cancel < accepted; ++cancel) {
    EXPECT_TRUE(engine.Submit(CancelCommand{cancel, false}).ok());
    EXPECT_TRUE(engine.Submit(ReleaseCommand{cancel}).ok());
    EXPECT_TRUE(engine.Submit(FencedCommand{cancel}).ok());
  }
  runner.Go();
  EXPECT_TRUE(Eventually([&] {
    const EngineLoad load = engine.Load();
    return load.waiting + load.running == 0 && load.pages.free + load.pages.cached == 64;
  }));
}

}  // namespace
}  // namespace baton
