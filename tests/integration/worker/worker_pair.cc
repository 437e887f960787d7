#include "tests/integration/worker/worker_pair.h"

#include <gmock/gmock.h>
#include <gtest/gtest.h>
#include <sodium.h>

#include "services/kv_transfer/transport/zmq_wire.h"

namespace baton {
namespace {

constexpr absl::Duration kPatience = absl::Seconds(20);

}  // namespace

Node::Node(WorkerRole role, const FakeRunnerOptions& model, int64_t emission_buffer, bool accept_inexact) {
  WorkerOptions options{.name = "node", .model = "hashes"};
  options.core.role = role;
  options.handoff.inexact = accept_inexact;
  options.core.emission_buffer = emission_buffer;
  options.engine.token_budget = 48;
  options.engine.prefill_chunk = 24;
  auto runner = std::make_unique<FakeRunner>(model);
  models.push_back(runner.get());
  std::vector<std::unique_ptr<ModelRunner>> runners;
  runners.push_back(std::move(runner));
  ZmqOptions keys{.curve_public_key = std::string(32, 0), .curve_secret_key = std::string(32, 0)};
  crypto_box_keypair(reinterpret_cast<unsigned char*>(keys.curve_public_key.data()),
                     reinterpret_cast<unsigned char*>(keys.curve_secret_key.data()));
  auto wire = NewZmqTransport(keys);
  EXPECT_TRUE(wire.ok()) << wire.status();
  auto started = Worker::Start(options, std::move(runners), *std::move(wire), &clock);
  EXPECT_TRUE(started.ok()) << started.status();
  worker = *std::move(started);
  auto served = WorkerServer::Start({.listen = {"127.0.0.1", 0}}, worker.get());
  EXPECT_TRUE(served.ok()) << served.status();
  server = *std::move(served);
  stub = v1::Worker::NewStub(
      grpc::CreateChannel(server->address().ToString(), grpc::InsecureChannelCredentials()));
}

Node::~Node() {
  for (const FakeRunner* model : models) EXPECT_THAT(model->violations(), testing::IsEmpty());
  EXPECT_EQ(worker->Health(), absl::OkStatus());
  server.reset();
  worker.reset();
}

PageCounts Node::pages() const {
  return worker->Status().ranks.at(0).pages;
}

bool Node::Becomes(const std::function<bool(const WorkerStatus&)>& condition) const {
  const MonoTime deadline = clock.Now() + kPatience;
  while (clock.Now() < deadline) {
    if (condition(worker->Status())) return true;
    std::this_thread::yield();
  }
  return false;
}

bool Node::AtRest() const {
  return Becomes([](const WorkerStatus& status) {
    const PageCounts pages = status.ranks.at(0).pages;
    return status.jobs == 0 && status.open_calls == 0 && pages.free + pages.cached == pages.total();
  });
}

DecodeClient::DecodeClient(Node& node, const v1::DecodeRequest& request)
    : node_(node), thread_([this, request] { Read(request); }) {}

DecodeClient::~DecodeClient() {
  if (thread_.joinable()) Join();
}

void DecodeClient::Read(v1::DecodeRequest request) {
  const size_t emitted = static_cast<size_t>(request.spec().tokens_size()) - request.spec().prompt_tokens();
  auto reader = node_.stub->Decode(&context_, request);
  v1::DecodeEvent event;
  while (reader->Read(&event)) {
    absl::MutexLock lock(&mutex_);
    if (event.has_accepted()) result_.accepted = true;
    if (event.has_token()) {
      EXPECT_EQ(event.token().position(), emitted + result_.tokens.size());
      if (!result_.first) result_.first = event.token();
      result_.tokens.push_back(event.token().token());
    }
    if (event.has_finished()) {
      result_.kv = event.finished().kv();
      result_.reason = event.finished().reason();
      result_.inexact = event.finished().inexact();
    }
  }
  const grpc::Status status = reader->Finish();
  absl::MutexLock lock(&mutex_);
  result_.status = status;
  over_ = true;
}

bool DecodeClient::WaitFor(size_t n) {
  absl::MutexLock lock(&mutex_);
  const auto reached = [&]() ABSL_SHARED_LOCKS_REQUIRED(mutex_) {
    return result_.accepted && result_.tokens.size() >= n;
  };
  const auto settled = [&]() ABSL_SHARED_LOCKS_REQUIRED(mutex_) { return over_ || reached(); };
  mutex_.AwaitWithTimeout(absl::Condition(&settled), kPatience);
  return reached();
}

DecodeResult DecodeClient::Join() {
  thread_.join();
  absl::MutexLock lock(&mutex_);
  return result_;
}

v1::GenerateSpec MakeSpec(uint64_t stream, std::vector<int32_t> tokens, uint32_t max_tokens, uint32_t n) {
  v1::GenerateSpec spec;
  spec.mutable_stream()->set_hi(1);
  spec.mutable_stream()->set_lo(stream);
  spec.mutable_attempt()->set_n(n);
  spec.set_prompt_tokens(static_cast<uint32_t>(tokens.size()));
  for (const int32_t token : tokens) spec.add_tokens(token);
  spec.set_max_tokens(max_tokens);
  spec.mutable_sampling()->set_temperature(0.8f);
  spec.mutable_sampling()->set_top_p(1);
  spec.mutable_sampling()->set_repetition_penalty(1);
  spec.mutable_sampling()->set_seed(stream);
  spec.set_timeout_ms(60000);
  return spec;
}

std::vector<int32_t> MakePrompt(uint64_t seed, size_t length, size_t shared_prefix) {
  std::vector<int32_t> tokens;
  uint64_t state = seed * 0x9E3779B97F4A7C15u + 1;
  for (size_t i = 0; i < length; ++i) {
    state = state * 6364136223846793005u + 1442695040888963407u;
    tokens.push_back(i < shared_prefix ? static_cast<int32_t>(i % 60) + 1
                                       : static_cast<int32_t>((state >> 33) % 60) + 1);
  }
  return tokens;
}

v1::DecodeRequest Local(const v1::GenerateSpec& spec) {
  v1::DecodeRequest request;
  *request.mutable_spec() = spec;
  return request;
}

v1::DecodeRequest FromOwner(const v1::GenerateSpec& spec, const Node& owner) {
  v1::DecodeRequest request = Local(spec);
  const KvPeer& kv = owner.worker->facts().kv;
  request.mutable_source()->set_endpoint(kv.endpoint);
  request.mutable_source()->set_curve_public_key(kv.curve_public_key);
  request.mutable_source()->mutable_epoch()->set_hi(kv.epoch.hi);
  request.mutable_source()->mutable_epoch()->set_lo(kv.epoch.lo);
  return request;
}

PrefillResult RunPrefill(Node& owner, const Node& reader, const v1::GenerateSpec& spec) {
  v1::PrefillRequest request;
  *request.mutable_spec() = spec;
  request.mutable_reader_epoch()->set_hi(reader.worker->facts().kv.epoch.hi);
  request.mutable_reader_epoch()->set_lo(reader.worker->facts().kv.epoch.lo);
  grpc::ClientContext context;
  auto stream = owner.stub->Prefill(&context, request);
  PrefillResult result;
  v1::PrefillEvent event;
  while (stream->Read(&event)) {
    if (event.has_first_token()) {
      result.first_token = event.first_token().token();
      result.first = event.first_token();
      result.cached_tokens = event.cached_tokens();
    }
    if (event.has_handoff()) result.outcome = event.handoff().outcome();
  }
  result.status = stream->Finish();
  return result;
}

DecodeResult RunSplit(Node& owner, Node& reader, const v1::GenerateSpec& spec, PrefillResult* prefill) {
  DecodeClient decode(reader, FromOwner(spec, owner));
  if (decode.WaitFor(0)) {
    PrefillResult result = RunPrefill(owner, reader, spec);
    if (prefill != nullptr) *prefill = std::move(result);
  }
  return decode.Join();
}

}  // namespace baton
