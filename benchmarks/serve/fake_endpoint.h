#pragma once

// An OpenAI endpoint that computes nothing: each stream's tokens come on a fixed schedule, so that what a
// load generator measures can be compared with what it should have measured. Any prompt, chat or completions.

#include <memory>
#include <string>

#include "absl/status/statusor.h"
#include "tools/load/histogram.h"

namespace baton::load {

struct FakeSchedule {
  absl::Duration ttft = absl::Milliseconds(50);  // from the request's last byte to the first token
  absl::Duration itl = absl::Milliseconds(20);   // between tokens
  int64_t tokens = 0;                            // of each stream; 0: the request's max_tokens
};

class FakeEndpoint {
 public:
  // Listens on 127.0.0.1 (`port` 0: any free one) and serves on a thread of its own until it is destroyed.
  static absl::StatusOr<std::unique_ptr<FakeEndpoint>> Start(const FakeSchedule& schedule, int port);
  ~FakeEndpoint();

  int port() const;
  // How much later than scheduled its tokens were written, since the last call. Any thread.
  Histogram TakeLag();
  // CPU time that its thread has used. Any thread.
  absl::Duration CpuTime() const;

 private:
  class Server;
  explicit FakeEndpoint(std::unique_ptr<Server> server);
  std::unique_ptr<Server> server_;
};

}  // namespace baton::load
