#pragma once

// One client and its one stream: checks every token that it is given, and how the stream ends.

#include <functional>
#include <string>

#include "absl/status/status.h"
#include "services/router/policy/stream_session.h"
#include "tests/sim/context.h"
#include "tests/sim/workload.h"

namespace baton::sim {

class Client {
 public:
  Client(const Context& context, const Request* request) : context_(context), request_(request) {}

  const Request& request() const { return *request_; }
  uint32_t claim() const { return claim_; }
  bool ended() const { return ended_; }
  bool gone() const { return gone_; }
  bool finished() const { return ended_ && status_.ok() && !gone_; }
  const absl::Status& status() const { return status_; }
  int router = 0;
  std::function<bool(Client*)> on_lost;  // whether it will connect again; called when its router vanished

  // A new connection: the stream comes from its first token again, and what the client has must be repeated
  // as it was.
  uint32_t Connect(int to_router);
  void GoAway();  // hears nothing more

  // From the router. What comes on an older connection than the last reaches nobody.
  void OnToken(uint32_t claim, const router::StreamToken& token);
  void OnFinish(uint32_t claim, router::StreamFinish reason);
  void OnFail(uint32_t claim, absl::Status status);
  void OnQuietEnd(uint32_t claim);
  void OnConnectionLost(uint32_t claim);

 private:
  bool Hears(uint32_t claim, absl::string_view what);
  void End(absl::Status status);
  std::string who() const { return absl::StrCat("client", request_->index); }

  const Context& context_;
  const Request* const request_;
  uint32_t claim_ = 0;
  uint32_t next_ = 0;  // position on this connection
  std::vector<TokenId> received_;
  bool ended_ = false;
  bool gone_ = false;
  absl::Status status_;
};

}  // namespace baton::sim
