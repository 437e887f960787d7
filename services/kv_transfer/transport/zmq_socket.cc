#include "services/kv_transfer/transport/zmq_socket.h"

#include <zmq.h>

#include <cerrno>
#include <cstring>
#include <utility>

#include "absl/strings/str_cat.h"
#include "common/status_macros.h"

namespace baton {
namespace {

constexpr size_t kHeaderBytes = 9;
constexpr int kLingerMs = 200;  // for the last Releases and Revokes
constexpr char kZapDomain[] = "baton";
constexpr char kUserProperty[] = "User-Id";  // as the authenticator gave it

static_assert(sizeof(zmq_msg_t) == 64);

zmq_msg_t* Msg(ZmqBytes& bytes) {
  return static_cast<zmq_msg_t*>(bytes.raw());
}

ZmqBytes Header(ZmqFrameKind kind, uint64_t tag) {
  ZmqBytes header(kHeaderBytes);
  header.data()[0] = static_cast<std::byte>(kind);
  for (int i = 0; i < 8; ++i) header.data()[1 + i] = static_cast<std::byte>(tag >> (8 * i));
  return header;
}

bool ParseHeader(ZmqBytes& header, ZmqFrame* frame) {
  if (header.size() != kHeaderBytes) return false;
  frame->kind = static_cast<ZmqFrameKind>(header.data()[0]);
  frame->tag = 0;
  for (int i = 0; i < 8; ++i) frame->tag |= std::to_integer<uint64_t>(header.data()[1 + i]) << (8 * i);
  switch (frame->kind) {
    case ZmqFrameKind::kMessage:
    case ZmqFrameKind::kRead:
    case ZmqFrameKind::kData:
    case ZmqFrameKind::kRefused:
      return true;
  }
  return false;
}

absl::Status Error(absl::string_view what) {
  return absl::UnavailableError(absl::StrCat("ZeroMQ: ", what, ": ", zmq_strerror(zmq_errno())));
}

}  // namespace

ZmqBytes::ZmqBytes() {
  zmq_msg_init(Msg(*this));
}
ZmqBytes::ZmqBytes(size_t size) {
  if (zmq_msg_init_size(Msg(*this), size) != 0) zmq_msg_init(Msg(*this));
}
ZmqBytes::ZmqBytes(absl::string_view bytes) : ZmqBytes(bytes.size()) {
  if (!bytes.empty()) std::memcpy(data(), bytes.data(), size());
}
ZmqBytes::ZmqBytes(ZmqBytes&& other) noexcept : ZmqBytes() {
  zmq_msg_move(Msg(*this), Msg(other));
}
ZmqBytes& ZmqBytes::operator=(ZmqBytes&& other) noexcept {
  if (this != &other) zmq_msg_move(Msg(*this), Msg(other));
  return *this;
}
ZmqBytes::~ZmqBytes() {
  zmq_msg_close(Msg(*this));
}
std::byte* ZmqBytes::data() {
  return static_cast<std::byte*>(zmq_msg_data(Msg(*this)));
}
size_t ZmqBytes::size() const {
  return zmq_msg_size(reinterpret_cast<const zmq_msg_t*>(storage_));
}
absl::string_view ZmqBytes::view() {
  return {reinterpret_cast<const char*>(data()), size()};
}

int ZmqFd(void* socket) {
  int fd = -1;
  size_t size = sizeof fd;
  return zmq_getsockopt(socket, ZMQ_FD, &fd, &size) == 0 ? fd : -1;
}

void ZmqSocket::Closer::operator()(void* socket) const {
  zmq_socket_monitor(socket, nullptr, 0);  // it lives on while it lingers, and would wait to tell nobody
  zmq_close(socket);
}

absl::Status ZmqSocket::Set(int option, int value) {
  return zmq_setsockopt(raw(), option, &value, sizeof value) == 0
             ? absl::OkStatus()
             : Error(absl::StrCat("socket option ", option, " = ", value));
}

absl::Status ZmqSocket::Set(int option, const std::string& value) {
  return zmq_setsockopt(raw(), option, value.data(), value.size()) == 0
             ? absl::OkStatus()
             : Error(absl::StrCat("socket option ", option));
}

absl::Status ZmqSocket::Configure(const ZmqOptions& options, const std::string& address) {
  const auto ms = [](absl::Duration d) { return static_cast<int>(absl::ToInt64Milliseconds(d)); };
  const std::pair<int, int> settings[] = {{ZMQ_LINGER, kLingerMs},
                                          {ZMQ_SNDHWM, router_ ? options.high_water_out : options.high_water},
                                          {ZMQ_RCVHWM, options.high_water},
                                          {ZMQ_HEARTBEAT_IVL, ms(options.heartbeat)},
                                          {ZMQ_HEARTBEAT_TIMEOUT, ms(options.heartbeat_timeout)},
                                          {ZMQ_HEARTBEAT_TTL, ms(options.heartbeat_timeout)},
                                          {ZMQ_RECONNECT_IVL, ms(options.reconnect_min)},
                                          {ZMQ_RECONNECT_IVL_MAX, ms(options.reconnect_max)},
                                          {ZMQ_HANDSHAKE_IVL, ms(options.handshake_timeout)},
                                          {ZMQ_TCP_KEEPALIVE, 1},
                                          {ZMQ_IPV6, address.find('[') != std::string::npos}};
  for (const auto& [option, value] : settings) BATON_RETURN_IF_ERROR(Set(option, value));
  const int64_t max_message = router_ ? options.max_request_bytes : options.max_message_bytes;
  if (zmq_setsockopt(raw(), ZMQ_MAXMSGSIZE, &max_message, sizeof max_message) != 0)
    return Error("ZMQ_MAXMSGSIZE");
  return absl::OkStatus();
}

absl::StatusOr<ZmqSocket> ZmqSocket::Router(void* context, const ZmqOptions& options) {
  void* raw = zmq_socket(context, ZMQ_ROUTER);
  if (raw == nullptr) return Error("socket");
  ZmqSocket socket(raw, true);
  BATON_RETURN_IF_ERROR(socket.Configure(options, options.bind));
  BATON_RETURN_IF_ERROR(socket.Set(ZMQ_ROUTER_MANDATORY, 1));
  if (!options.curve_secret_key.empty()) {
    BATON_RETURN_IF_ERROR(socket.Set(ZMQ_CURVE_SERVER, 1));
    BATON_RETURN_IF_ERROR(socket.Set(ZMQ_CURVE_SECRETKEY, options.curve_secret_key));
  }
  BATON_RETURN_IF_ERROR(socket.Set(ZMQ_ZAP_DOMAIN, kZapDomain));
  return socket;
}

absl::Status ZmqSocket::Bind(const std::string& endpoint) {
  return zmq_bind(raw(), endpoint.c_str()) == 0 ? absl::OkStatus()
                                                : Error(absl::StrCat("bind to ", endpoint));
}

absl::Status ZmqSocket::Connect(const std::string& endpoint) {
  return zmq_connect(raw(), endpoint.c_str()) == 0 ? absl::OkStatus()
                                                   : Error(absl::StrCat("connect to ", endpoint));
}

absl::StatusOr<ZmqSocket> ZmqSocket::Dealer(void* context, const ZmqOptions& options,
                                            const std::string& endpoint, const std::string& server_key,
                                            const CurvePair& ours) {
  if (options.curve_secret_key.empty() != server_key.empty()) {
    return absl::FailedPreconditionError(server_key.empty()
                                             ? "the peer has no CURVE key, and keys are configured here"
                                             : "the peer has a CURVE key, and none is configured here");
  }
  void* raw = zmq_socket(context, ZMQ_DEALER);
  if (raw == nullptr) return Error("socket");
  ZmqSocket socket(raw, false);
  BATON_RETURN_IF_ERROR(socket.Configure(options, endpoint));
  if (!server_key.empty()) {
    BATON_RETURN_IF_ERROR(socket.Set(ZMQ_CURVE_SERVERKEY, server_key));
    BATON_RETURN_IF_ERROR(socket.Set(ZMQ_CURVE_PUBLICKEY, ours.public_key));
    BATON_RETURN_IF_ERROR(socket.Set(ZMQ_CURVE_SECRETKEY, ours.secret_key));
  }
  return socket;
}

std::string ZmqSocket::LastEndpoint() const {
  char buffer[256] = {};
  size_t size = sizeof buffer;
  if (zmq_getsockopt(raw(), ZMQ_LAST_ENDPOINT, buffer, &size) != 0) return "";
  return buffer;
}

WireResult ZmqSocket::Send(const std::string& identity, ZmqFrameKind kind, uint64_t tag, ZmqBytes payload) {
  ZmqBytes parts[] = {ZmqBytes(absl::string_view(identity)), Header(kind, tag), std::move(payload)};
  for (size_t i = router_ ? 0 : 1; i < std::size(parts); ++i) {
    const int more = i + 1 < std::size(parts) ? ZMQ_SNDMORE : 0;
    if (zmq_msg_send(Msg(parts[i]), raw(), ZMQ_DONTWAIT | more) >= 0) continue;
    return zmq_errno() == EAGAIN ? WireResult::kBusy : WireResult::kGone;
  }
  return WireResult::kOk;
}

ZmqSocket::Received ZmqSocket::Receive(ZmqFrame* frame) {
  frame->identity.clear();
  const size_t header_part = router_ ? 1 : 0;
  bool good = true;
  for (size_t part = 0;; ++part) {
    ZmqBytes bytes;
    if (zmq_msg_recv(Msg(bytes), raw(), ZMQ_DONTWAIT) < 0)
      return part == 0 ? Received::kNothing : Received::kMalformed;
    const bool more = zmq_msg_more(Msg(bytes)) != 0;
    if (part < header_part) {
      frame->identity = std::string(bytes.view());
    } else if (part == header_part) {
      // Of what the peer sent: ZeroMQ makes the identity's part by itself.
      const char* const user = zmq_msg_gets(Msg(bytes), kUserProperty);
      frame->user = user == nullptr ? "" : user;
      frame->fd = zmq_msg_get(Msg(bytes), ZMQ_SRCFD);
      good = ParseHeader(bytes, frame);
    } else if (part == header_part + 1) {
      frame->payload = std::move(bytes);
    }
    if (more) continue;
    return good && part == header_part + 1 ? Received::kFrame : Received::kMalformed;
  }
}

}  // namespace baton
