#pragma once

// The open-loop client: sends a plan's requests when they are due, whatever became of those before, and hands
// over what became of each. One thread: that of Run.

#include <functional>
#include <memory>

#include "absl/status/statusor.h"
#include "tools/load/plan.h"
#include "tools/load/request_body.h"
#include "tools/load/stream_record.h"

namespace baton::load {

struct ClientOptions {
  std::string host, port;
  std::string base_path;  // before "/v1/...": usually empty
  std::string api_key;    // sent as a bearer token; empty: none
  RequestStyle style;
  absl::Duration connect_timeout = absl::Seconds(10);
  absl::Duration stall_timeout = absl::Seconds(120);    // without a byte
  absl::Duration request_timeout = absl::Seconds(600);  // from the scheduled arrival to the end
  absl::Duration drain = absl::Seconds(60);             // after the plan's end, for what still runs
  size_t max_connections = 10000;                       // at once; a request beyond them is not sent
  bool keep_bodies = false;                             // request_body and text of the records
};

struct Counters {
  int64_t sent = 0, running = 0, done = 0, errors = 0, tokens = 0;
};

// Called on the thread of Run; what they take is time that the client's clock does not get. Any may be empty.
struct Observer {
  std::function<void(const StreamRecord&)>
      on_end;  // once for each request, but for turns due after the plan's end
  // About every 10 ms: `late` is how much later than wanted.
  std::function<void(MonoTime now, absl::Duration late, const Counters& counters)> on_tick;
  // As tokens come: the request, how many, their ids where they are asked for.
  std::function<void(size_t index, MonoTime now, int tokens, const std::vector<int32_t>& ids)> on_tokens;
};

class Client {
 public:
  explicit Client(ClientOptions options);
  ~Client();
  Client(const Client&) = delete;
  Client& operator=(const Client&) = delete;

  // Sends `plan` from `origin` on (SteadyClock's time, not far in the past) and returns when every request
  // ended or the drain is over. Once per Client. NOT_FOUND if the host's name is unknown; INVALID_ARGUMENT
  // for a plan whose `after` is not an index. Failures of requests are records, not errors.
  absl::Status Run(const LoadPlan& plan, const Observer& observer, MonoTime origin);

  // Ends Run soon: nothing more is sent, running streams are closed and recorded as kUnfinished. Any thread,
  // any time.
  void Stop();

 private:
  class Loop;
  std::unique_ptr<Loop> loop_;
};

// Asks the endpoint's /v1/models. UNAVAILABLE, DEADLINE_EXCEEDED (5 s) or NOT_FOUND where that does not work.
absl::StatusOr<std::string> AskModel(const ClientOptions& options);

}  // namespace baton::load
