// Prefill workers in front of a pool: a real one, and ones that hang, lie or die. Tokens are always those of
// a worker without a pool, and nothing is left behind; the model notices every byte of KV that is not its
// own.
#include <gtest/gtest.h>
#include <sodium.h>

#include "absl/synchronization/notification.h"
#include "baton/pool.grpc.pb.h"
#include "services/kv_transfer/handoff/messages.h"
#include "services/kv_transfer/pool/service/pool_server.h"
#include "services/kv_transfer/transport/zmq_wire.h"
#include "services/worker/pool_gate.h"
#include "tests/integration/worker/worker_pair.h"

namespace baton {
namespace {

const FakeRunnerOptions kModel{.pages = 128};

// A worker that prefills and one that decodes, the first with a gate to the pool at `endpoint`.
struct Pair {
  explicit Pair(const std::string& endpoint)
      : prefill(WorkerRole::kPrefill, kModel), decode(WorkerRole::kDecode, kModel) {
    if (!endpoint.empty())
      gate = std::make_unique<PoolGate>(endpoint, kModel.pages, prefill.worker.get(), &prefill.clock);
  }
  ~Pair() {
    prefill.server.reset();
    gate.reset();
  }
  std::vector<int32_t> Tokens(uint64_t stream, const std::vector<int32_t>& prompt) {
    const DecodeResult result = RunSplit(prefill, decode, MakeSpec(stream, prompt, 6));
    EXPECT_TRUE(result.status.ok()) << result.status.error_message();
    return result.tokens;
  }
  template <typename Condition>
  bool Becomes(Condition condition) {
    const MonoTime deadline = prefill.clock.Now() + absl::Seconds(20);
    while (!condition(gate->stats()) && prefill.clock.Now() < deadline) std::this_thread::yield();
    return condition(gate->stats());
  }
  bool Attached() {
    return Becomes([](const PoolGate::Stats& stats) { return stats.client.attached; });
  }

  Node prefill, decode;
  std::unique_ptr<PoolGate> gate;
};

std::vector<std::vector<int32_t>> Prompts() {
  return {MakePrompt(1, 200), MakePrompt(2, 150, 100), MakePrompt(3, 170, 100), MakePrompt(4, 40)};
}

// What a pair without a pool says.
std::vector<std::vector<int32_t>> Expected() {
  Pair plain("");
  std::vector<std::vector<int32_t>> answers;
  for (const auto& prompt : Prompts()) answers.push_back(plain.Tokens(answers.size() + 1, prompt));
  return answers;
}

// The seed is the stream's: the same prompt under the same number, each time as a stream of its own.
void CheckAnswer(Pair& pair, size_t i) {
  static const std::vector<std::vector<int32_t>> expected = Expected();
  static uint32_t attempt = 0;
  v1::GenerateSpec spec = MakeSpec(i + 1, Prompts()[i], 6, ++attempt);
  const DecodeResult result = RunSplit(pair.prefill, pair.decode, spec);
  EXPECT_TRUE(result.status.ok()) << result.status.error_message();
  EXPECT_EQ(result.tokens, expected[i]);
}

void CheckAnswers(Pair& pair) {
  for (size_t i = 0; i < Prompts().size(); ++i) CheckAnswer(pair, i);
}

ZmqOptions WithKeys() {
  ZmqOptions options{.curve_public_key = std::string(32, 0), .curve_secret_key = std::string(32, 0)};
  crypto_box_keypair(reinterpret_cast<unsigned char*>(options.curve_public_key.data()),
                     reinterpret_cast<unsigned char*>(options.curve_secret_key.data()));
  return options;
}

struct RealPool {
  RealPool()
      : host(
            {.memory_bytes = 4 << 20}, [](const SharedMemory&) { return NewZmqTransport(WithKeys()); },
            nullptr, &clock),
        server(*pool::PoolServer::Start({}, &host)) {}
  bool StoresBlocks(uint64_t n) {
    const MonoTime deadline = clock.Now() + absl::Seconds(20);
    const auto stored = [this] { return host.node()->Status().counters.blocks_stored; };
    while (stored() < n && clock.Now() < deadline) std::this_thread::yield();
    return stored() >= n;
  }
  SteadyClock clock;
  pool::PoolHost host;
  std::unique_ptr<pool::PoolServer> server;
};

// The fake model computes faster than anything moves, so only the first prompt of a worker is asked for: each
// has a worker of its own.
TEST(PoolGateTest, WhatOneWorkerStoredAnotherFetches) {
  RealPool pool;
  {
    Pair first(pool.server->address());
    ASSERT_TRUE(first.Attached());
    CheckAnswers(first);
    EXPECT_TRUE(pool.StoresBlocks(12 + 9 + 4 + 2)) << "of all four prompts, the six that two share once";
  }
  for (size_t i = 0; i < 3; ++i) {
    Pair next(pool.server->address());
    ASSERT_TRUE(next.Attached());
    CheckAnswer(next, i);
    const PoolGate::Stats stats = next.gate->stats();
    EXPECT_EQ(stats.planner.fetched, 1u);
    EXPECT_GE(stats.planner.tokens_fetched, 9u * kAtomTokens);
    EXPECT_EQ(stats.planner.lost, 0u);
    EXPECT_TRUE(next.prefill.AtRest());
  }
  EXPECT_EQ(pool.host.node()->Health(), absl::OkStatus());
}

// A pool that is not one.
class FakePool final : public v1::Pool::Service {
 public:
  FakePool() {
    grpc::ServerBuilder builder;
    builder.AddListeningPort("127.0.0.1:0", grpc::InsecureServerCredentials(), &port_);
    builder.RegisterService(this);
    server_ = builder.BuildAndStart();
  }
  ~FakePool() override {
    release.Notify();
    server_->Shutdown(std::chrono::system_clock::now());
  }
  std::string endpoint() const { return "127.0.0.1:" + std::to_string(port_); }

  grpc::Status Attach(grpc::ServerContext*, const v1::AttachRequest*, v1::AttachResponse* response) override {
    response->mutable_peer()->set_endpoint("tcp://127.0.0.1:9");  // nobody is there
    response->mutable_peer()->set_curve_public_key(WithKeys().curve_public_key);
    ToProto({1, 2}, response->mutable_peer()->mutable_epoch());
    return grpc::Status::OK;
  }
  grpc::Status Fetch(grpc::ServerContext*, const v1::PoolFetchRequest* request,
                     v1::PoolFetchResponse* response) override {
    ++fetches;
    if (hang) release.WaitForNotification();
    response->set_found(request->run().blocks_size() + too_many);
    response->set_blocks(request->run().blocks_size() + too_many);
    return grpc::Status::OK;
  }
  grpc::Status Store(grpc::ServerContext*, const v1::PoolStoreRequest* request,
                     v1::PoolStoreResponse* response) override {
    response->set_blocks(request->run().blocks_size() + too_many);  // and never pulls
    return grpc::Status::OK;
  }

  bool hang = false;
  int too_many = 0;
  std::atomic<int> fetches{0};
  absl::Notification release;

 private:
  int port_ = 0;
  std::unique_ptr<grpc::Server> server_;
};

TEST(PoolGateTest, APoolThatNeverAnswersCostsAFewDeadlines) {
  FakePool pool;
  pool.hang = true;
  Pair pair(pool.endpoint());
  ASSERT_TRUE(pair.Attached());
  const MonoTime begun = pair.prefill.clock.Now();
  CheckAnswers(pair);
  EXPECT_LT(pair.prefill.clock.Now() - begun, absl::Seconds(10));
  EXPECT_EQ(pair.gate->stats().planner.fetched, 0u);
  EXPECT_GE(pair.gate->stats().planner.failed, 1u);
  EXPECT_TRUE(pair.prefill.AtRest());
}

TEST(PoolGateTest, BlocksThatNeverComeAreComputed) {
  FakePool pool;
  Pair pair(pool.endpoint());
  ASSERT_TRUE(pair.Attached());
  const MonoTime begun = pair.prefill.clock.Now();
  CheckAnswers(pair);
  EXPECT_LT(pair.prefill.clock.Now() - begun, absl::Seconds(20));
  EXPECT_GE(pair.gate->stats().planner.lost, 1u);
  EXPECT_EQ(pair.gate->stats().planner.fetched, 0u);
}

TEST(PoolGateTest, AnswersThatMakeNoSenseAreNotBelieved) {
  FakePool pool;
  pool.too_many = 5;
  Pair pair(pool.endpoint());
  ASSERT_TRUE(pair.Attached());
  CheckAnswers(pair);
  EXPECT_EQ(pair.gate->stats().planner.lost + pair.gate->stats().planner.fetched, 0u);
  EXPECT_TRUE(pair.prefill.AtRest());
}

TEST(PoolGateTest, NobodyThereIsNoTrouble) {
  Pair pair("127.0.0.1:9");
  CheckAnswers(pair);
  EXPECT_FALSE(pair.gate->stats().client.attached);
  EXPECT_TRUE(pair.prefill.AtRest());
}

TEST(PoolGateTest, ACallThatBreaksWhileThePoolIsAskedEndsThere) {
  FakePool pool;
  pool.hang = true;
  Pair pair(pool.endpoint());
  ASSERT_TRUE(pair.Attached());
  v1::PrefillRequest request;
  *request.mutable_spec() = MakeSpec(7, MakePrompt(7, 200), 4);
  ToProto(pair.decode.worker->facts().kv.epoch, request.mutable_reader_epoch());
  grpc::ClientContext context;
  auto stream = pair.prefill.stub->Prefill(&context, request);
  const MonoTime deadline = pair.prefill.clock.Now() + absl::Seconds(20);
  while (pool.fetches == 0 && pair.prefill.clock.Now() < deadline) std::this_thread::yield();
  context.TryCancel();
  EXPECT_EQ(stream->Finish().error_code(), grpc::StatusCode::CANCELLED);
  EXPECT_TRUE(pair.Becomes([](const PoolGate::Stats& stats) { return stats.planner.failed > 0; }));
  EXPECT_TRUE(pair.prefill.AtRest());
  EXPECT_EQ(pair.prefill.worker->Status().ranks.at(0).computed_tokens, 0);
}

}  // namespace
}  // namespace baton
