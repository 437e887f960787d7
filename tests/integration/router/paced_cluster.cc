#include "tests/integration/router/paced_cluster.h"

#include "absl/strings/match.h"
#include "absl/strings/str_cat.h"
#include "services/kv_transfer/transport/zmq_wire.h"
#include "tests/support/fake_runner.h"

namespace baton::router::testing {
namespace {

class PacedRunner final : public ModelRunner {
 public:
  PacedRunner(const FakeRunnerOptions& options, Pace* pace) : model_(options), pace_(pace) {}
  const KvLayout& kv_layout() const override { return model_.kv_layout(); }
  int64_t page_count() const override { return model_.page_count(); }
  std::byte* PageData(PageId page) override { return model_.PageData(page); }
  int vocab_size() const override { return model_.vocab_size(); }
  int64_t max_context() const override { return model_.max_context(); }
  const std::string& model_id() const override { return model_.model_id(); }
  const std::string& fingerprint() const override { return model_.fingerprint(); }
  absl::Status Forward(absl::Span<const ForwardItem> items, LayerSink* sink,
                       absl::Span<float> logits) override {
    pace_->AwaitStep();
    return model_.Forward(items, sink, logits);
  }

 private:
  FakeRunner model_;
  Pace* const pace_;
};

}  // namespace

void Pace::Allow(int steps) {
  absl::MutexLock lock(&mutex_);
  steps_ += steps;
}
void Pace::Open() {
  absl::MutexLock lock(&mutex_);
  open_ = true;
}
void Pace::Close() {
  absl::MutexLock lock(&mutex_);
  open_ = false;
  steps_ = 0;
}
void Pace::AwaitStep() {
  absl::MutexLock lock(&mutex_);
  const auto go = [this]() ABSL_SHARED_LOCKS_REQUIRED(mutex_) { return open_ || steps_ > 0; };
  mutex_.AwaitWithTimeout(absl::Condition(&go), absl::Seconds(10));
  if (!open_ && steps_ > 0) --steps_;
}

void PacedCluster::AddWorker(baton::WorkerRole role, int vocab) {
  baton::WorkerOptions options{.name = absl::StrCat("worker-", workers_.size()), .model = "hashes"};
  options.core.role = role;
  std::vector<std::unique_ptr<ModelRunner>> runners;
  runners.push_back(std::make_unique<PacedRunner>(FakeRunnerOptions{.pages = 256, .vocab = vocab}, &pace));
  auto wire = NewZmqTransport({});
  ASSERT_TRUE(wire.ok()) << wire.status();
  auto worker = baton::Worker::Start(options, std::move(runners), *std::move(wire), &clock_);
  ASSERT_TRUE(worker.ok()) << worker.status();
  workers_.push_back(*std::move(worker));
  auto server = WorkerServer::Start({.listen = {"127.0.0.1", 0}}, workers_.back().get());
  ASSERT_TRUE(server.ok()) << server.status();
  servers_.push_back(*std::move(server));
}

PacedCluster::PacedCluster() {
  RouterConfig config;
  config.model_path = BATON_SOURCE_DIR "/tests/goldens/model/tiny-llama.gguf";
  config.model_name = "tiny";
  config.calls.watch_interval = absl::Milliseconds(50);
  const auto file = GgufFile::Open(config.model_path);
  const auto tokenizer = Tokenizer::FromGguf(**file);
  AddWorker(baton::WorkerRole::kPrefill, (*tokenizer)->vocab_size());
  for (int i = 0; i < 2; ++i) AddWorker(baton::WorkerRole::kDecode, (*tokenizer)->vocab_size());
  for (const auto& server : servers_) config.discovery.workers.push_back(server->address().ToString());
  for (auto& router : routers_) {
    auto started = Router::Start(config, clock_);
    EXPECT_TRUE(started.ok()) << started.status();
    router = *std::move(started);
    EXPECT_TRUE(Eventually([&] {
      const std::string status = TestClient(router->port()).Get("/baton/status").body;
      return absl::StrContains(status, "\"healthy\":true") && !absl::StrContains(status, "\"healthy\":false");
    }));
  }
}

PacedCluster::~PacedCluster() {
  pace.Open();
  for (auto& router : routers_) router.reset();
  servers_.clear();
  workers_.clear();
}

uint64_t PacedCluster::Resumed() const {
  uint64_t sum = 0;
  for (const auto& worker : workers_) sum += worker->Status().counters.resumed;
  return sum;
}

uint64_t PacedCluster::Superseded() const {
  uint64_t sum = 0;
  for (const auto& worker : workers_) sum += worker->Status().counters.superseded;
  return sum;
}

bool PacedCluster::AtRest() {
  pace.Open();
  const bool rest = Eventually([&] {
    for (const auto& worker : workers_) {
      const baton::WorkerStatus status = worker->Status();
      const PageCounts& pages = status.ranks.at(0).pages;
      if (status.open_calls + status.jobs > 0 || pages.total() != pages.free + pages.cached) return false;
    }
    return true;
  });
  pace.Close();
  return rest;
}

}  // namespace baton::router::testing
