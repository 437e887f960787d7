#pragma once

// A worker that says what it is told: a real gRPC server (port 0: any) whose calls follow a
// plan. Thread-safe.

#include <memory>
#include <string>
#include <vector>

#include "absl/time/time.h"
#include "baton/worker.pb.h"

namespace baton::router::testing {

struct FakePlan {
  std::vector<int32_t> tokens = {1};
  v1::FinishReason finish = v1::FINISH_REASON_LENGTH;  // after the last token
  int refuse_code = 0;                                 // a gRPC status code: Decode and Prefill are refused
  int break_after = -1;                                // tokens, then the call ends with UNAVAILABLE
  int hang_after = -1;                                 // tokens, then nothing until the call is cancelled
  bool endless = false;                                // repeat the tokens until cancelled
  int32_t prefill_token = -1;                          // instead of tokens[0]
  absl::Duration token_delay;
  int share_code = 0;  // a gRPC status code: Share is refused
  int fetch_code = 0;
  bool await_release = false;  // Decode sends no token before Release
  bool accept = true;          // false: never answers at all
};

class FakeWorker {
 public:
  FakeWorker(const std::string& name, v1::Role role, FakePlan plan,
             const std::string& fingerprint = "fp-test", int port = 0);
  ~FakeWorker();

  const std::string& endpoint() const;
  int port() const;
  void SetPlan(FakePlan plan);
  void SetDraining(bool draining);
  void Release();
  std::vector<v1::DecodeRequest> decodes() const;
  std::vector<v1::PrefillRequest> prefills() const;
  std::vector<v1::ShareRequest> shares() const;
  std::vector<v1::FetchRequest> fetches() const;
  int cancelled() const;  // calls that ended because the router cancelled them
  int open_calls() const;
  // Waits until the condition on this worker holds; false after ten seconds.
  bool WaitForCancelled(int count) const;
  bool WaitForIdle() const;
  bool WaitForDecodes(size_t count) const;

 private:
  struct Impl;
  const std::unique_ptr<Impl> impl_;
};

}  // namespace baton::router::testing
