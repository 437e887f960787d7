#include "services/kv_transfer/transport/zap_handler.h"

#include <zmq.h>

#include <vector>

#include "absl/strings/str_cat.h"
#include "services/kv_transfer/transport/zmq_socket.h"

namespace baton {
namespace {

constexpr char kAddress[] = "inproc://zeromq.zap.01";
constexpr size_t kCurveKeyBytes = 32;
// Of a CURVE request: version, request id, domain, address, identity, mechanism, key.
constexpr size_t kRequestParts = 7;
enum Part { kVersion = 0, kRequestId = 1, kMechanism = 5, kKey = 6 };

// Empty: nobody asks.
std::vector<std::string> ReceiveParts(void* socket) {
  std::vector<std::string> parts;
  for (bool more = true; more;) {
    ZmqBytes part;
    auto* message = static_cast<zmq_msg_t*>(part.raw());
    if (zmq_msg_recv(message, socket, ZMQ_DONTWAIT) < 0) return {};
    more = zmq_msg_more(message) != 0;
    if (parts.size() <= kRequestParts) parts.emplace_back(part.view());
  }
  return parts;
}

}  // namespace

void ZapHandler::Closer::operator()(void* socket) const {
  zmq_close(socket);
}

absl::StatusOr<ZapHandler> ZapHandler::Bind(void* context) {
  void* raw = zmq_socket(context, ZMQ_REP);
  if (raw == nullptr) return absl::UnavailableError("ZeroMQ: no socket for authentication");
  ZapHandler handler(raw);
  const int no_linger = 0;
  zmq_setsockopt(raw, ZMQ_LINGER, &no_linger, sizeof no_linger);
  if (zmq_bind(raw, kAddress) != 0)
    return absl::UnavailableError(
        absl::StrCat("ZeroMQ: bind to ", kAddress, ": ", zmq_strerror(zmq_errno())));
  return handler;
}

bool ZapHandler::Serve(int most, const std::function<std::string(absl::string_view key)>& user_of) {
  for (; most > 0; --most) {
    const std::vector<std::string> request = ReceiveParts(raw());
    if (request.empty()) return true;
    const bool curve = request.size() == kRequestParts && request[kVersion] == "1.0" &&
                       request[kMechanism] == "CURVE" && request[kKey].size() == kCurveKeyBytes;
    const std::string user = curve ? user_of(request[kKey]) : "";
    const std::string answer[] = {"1.0",
                                  request.size() > kRequestId ? request[kRequestId] : "",
                                  user.empty() ? "400" : "200",
                                  user.empty() ? "this key is not listed here" : "OK",
                                  user,
                                  ""};
    for (size_t i = 0; i < std::size(answer); ++i) {
      const int more = i + 1 < std::size(answer) ? ZMQ_SNDMORE : 0;
      zmq_send(raw(), answer[i].data(), answer[i].size(), ZMQ_DONTWAIT | more);
    }
  }
  return false;
}

}  // namespace baton
