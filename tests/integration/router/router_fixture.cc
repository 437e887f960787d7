#include "tests/integration/router/router_fixture.h"

#include "absl/strings/str_cat.h"
#include "absl/synchronization/mutex.h"
#include "absl/time/clock.h"

namespace baton::router::testing {

bool Eventually(const std::function<bool()>& condition) {
  const absl::Time until = absl::Now() + absl::Seconds(10);
  absl::Mutex mutex;
  bool never = false;
  while (!condition()) {
    if (absl::Now() > until) return false;
    absl::MutexLock lock(&mutex);
    mutex.AwaitWithTimeout(absl::Condition(&never), absl::Milliseconds(5));
  }
  return true;
}

RouterFixture::RouterFixture() {
  config_.model_path = BATON_SOURCE_DIR "/tests/goldens/model/tiny-llama.gguf";
  config_.model_name = "tiny";
  config_.calls.watch_interval = absl::Milliseconds(100);
  auto file = GgufFile::Open(config_.model_path);
  EXPECT_TRUE(file.ok()) << file.status();
  auto tokenizer = Tokenizer::FromGguf(**file);
  EXPECT_TRUE(tokenizer.ok()) << tokenizer.status();
  tokenizer_ = *std::move(tokenizer);
}

RouterFixture::~RouterFixture() {
  router_.reset();
  workers_.clear();
}

FakeWorker& RouterFixture::AddDecode(FakePlan plan, const std::string& fingerprint) {
  workers_.push_back(std::make_unique<FakeWorker>(absl::StrCat("worker-", workers_.size()), v1::ROLE_DECODE,
                                                  std::move(plan), fingerprint));
  return *workers_.back();
}

FakeWorker& RouterFixture::AddPrefill(FakePlan plan, const std::string& fingerprint) {
  workers_.push_back(std::make_unique<FakeWorker>(absl::StrCat("worker-", workers_.size()), v1::ROLE_PREFILL,
                                                  std::move(plan), fingerprint));
  return *workers_.back();
}

void RouterFixture::StartRouter() {
  for (const auto& worker : workers_) config_.discovery.workers.push_back(worker->endpoint());
  auto router = Router::Start(config_, clock_);
  ASSERT_TRUE(router.ok()) << router.status();
  router_ = *std::move(router);
  if (workers_.empty()) return;
  ASSERT_TRUE(Eventually([&] {
    TestClient client(port());
    client.Send(absl::StrCat("GET /baton/status HTTP/1.1\r\nHost: t\r\n", admin_headers_, "\r\n"));
    const TestResponse status = client.Receive();
    size_t healthy = 0;
    for (size_t at = 0; (at = status.body.find("\"healthy\":true", at)) != std::string::npos; ++at) ++healthy;
    return healthy == workers_.size();
  }));
}

TestResponse RouterFixture::Chat(const std::string& more) {
  return TestClient(port()).Post("/v1/chat/completions", absl::StrCat(kChatBody, more, "}"));
}

TestResponse RouterFixture::Complete(const std::string& more) {
  return TestClient(port()).Post("/v1/completions", absl::StrCat("{", more, "}"));
}

bool RouterFixture::WaitForNoRequests() const {
  return Eventually([&] { return router_->open_requests() == 0; });
}

}  // namespace baton::router::testing
