#pragma once

// A router on port 0 over fake workers, with the tiny model's tokenizer.

#include <gtest/gtest.h>

#include <functional>
#include <memory>
#include <string>
#include <vector>

#include "common/clock.h"
#include "engine/text/tokenizer.h"
#include "services/router/router.h"
#include "tests/integration/router/fake_worker.h"
#include "tests/integration/router/test_client.h"

namespace baton::router::testing {

inline constexpr char kChatBody[] = R"({"messages":[{"role":"user","content":"hi"}],"max_tokens":64)";

class RouterFixture : public ::testing::Test {
 protected:
  RouterFixture();
  ~RouterFixture() override;

  // Starts the router over these workers and waits until a decode worker is known.
  void StartRouter();
  FakeWorker& AddDecode(FakePlan plan, const std::string& fingerprint = "fp-test");
  FakeWorker& AddPrefill(FakePlan plan, const std::string& fingerprint = "fp-test");
  std::vector<int32_t> Tokens(const std::string& text) const { return tokenizer_->Encode(text, false); }
  FakePlan Says(const std::string& text) const { return {.tokens = Tokens(text)}; }
  uint16_t port() const { return router_->port(); }
  TestResponse Chat(const std::string& more);
  TestResponse Complete(const std::string& more);
  // Waits until no request is open and no connection but those of live clients is left.
  bool WaitForNoRequests() const;

  RouterConfig config_;
  std::string admin_headers_;  // sent when looking at the router's status
  SteadyClock clock_;
  std::unique_ptr<Tokenizer> tokenizer_;
  std::vector<std::unique_ptr<FakeWorker>> workers_;
  std::unique_ptr<Router> router_;
};

// Waits until `condition` holds; false after ten seconds.
bool Eventually(const std::function<bool()>& condition);

}  // namespace baton::router::testing
