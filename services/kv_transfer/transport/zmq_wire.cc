#include "services/kv_transfer/transport/zmq_wire.h"

#include <sys/eventfd.h>
#include <unistd.h>
#include <zmq.h>

#include <algorithm>
#include <deque>
#include <map>
#include <utility>
#include <vector>

#include "absl/strings/str_cat.h"
#include "common/status_macros.h"
#include "services/kv_transfer/transport/regions.h"

namespace baton {
namespace {

constexpr int kFramesPerSocket = 64;  // in one Poll
constexpr char kWrongBytes[] = "the bytes are not those that were offered";

struct ContextCloser {
  void operator()(void* context) const { zmq_ctx_term(context); }
};

class WakeFd {
 public:
  WakeFd() : fd_(eventfd(0, EFD_NONBLOCK | EFD_CLOEXEC)) {}
  ~WakeFd() {
    if (fd_ >= 0) close(fd_);
  }
  WakeFd(const WakeFd&) = delete;
  WakeFd& operator=(const WakeFd&) = delete;
  int fd() const { return fd_; }
  void Wake() const {
    const uint64_t one = 1;
    [[maybe_unused]] const ssize_t full_is_awake = write(fd_, &one, sizeof one);
  }
  void Drain() const {
    uint64_t count;
    [[maybe_unused]] const ssize_t empty_is_fine = read(fd_, &count, sizeof count);
  }

 private:
  int fd_;
};

class ZmqWire final : public Transport {
 public:
  ZmqWire(const ZmqOptions& options, void* context, ZmqSocket router, std::string endpoint)
      : options_(options), context_(context), router_(std::move(router)), endpoint_(std::move(endpoint)) {}

  absl::string_view name() const override { return "zmq"; }
  bool VerifiesReads() const override { return true; }
  const std::string& endpoint() const override { return endpoint_; }
  const std::string& public_key() const override { return options_.curve_public_key; }

  absl::StatusOr<RegionId> Register(absl::Span<std::byte> memory) override { return regions_.Add(memory); }
  std::string RemoteKey(RegionId) const override { return ""; }
  void UnregisterAll() override { regions_.Clear(); }

  absl::StatusOr<PeerId> Connect(const std::string& endpoint, const std::string& public_key) override;
  void Disconnect(PeerId peer) override;
  WireResult Send(PeerId peer, absl::string_view message) override {
    return SendFrame(peer, ZmqFrameKind::kMessage, 0, ZmqBytes(message));
  }
  WireResult PostReads(ReadBatch batch) override;
  void Abort(uint64_t tag) override {
    if (reads_.erase(tag) != 0) done_.emplace_back(tag, absl::CancelledError("aborted"));
  }
  void Poll(absl::Duration timeout, WireHandler* handler) override;
  void Wake() override { wake_.Wake(); }

  bool ok() const { return wake_.fd() >= 0; }

 private:
  struct Dealer {
    std::string endpoint, key;
    ZmqSocket socket;
  };

  WireResult SendFrame(PeerId peer, ZmqFrameKind kind, uint64_t tag, ZmqBytes payload);
  PeerId Accept(const std::string& identity);
  void Forget(PeerId accepted);
  void DrainRouter(WireHandler* handler);
  void DrainDealer(PeerId peer, WireHandler* handler);
  void Serve(PeerId from, ZmqFrame& frame, WireHandler* handler);
  void Land(PeerId from, ZmqFrame& frame);
  void ReportDone(WireHandler* handler);

  const ZmqOptions options_;
  const std::unique_ptr<void, ContextCloser> context_;
  ZmqSocket router_;
  const std::string endpoint_;
  const WakeFd wake_;
  Regions regions_;
  PeerId last_peer_ = 0;
  std::map<PeerId, Dealer> dealers_;
  std::map<std::string, PeerId> accepted_;  // by identity
  std::map<PeerId, std::string> identities_;
  std::map<uint64_t, ReadBatch> reads_;  // posted and not complete, by tag
  std::deque<std::pair<uint64_t, absl::Status>> done_;
};

absl::StatusOr<PeerId> ZmqWire::Connect(const std::string& endpoint, const std::string& public_key) {
  for (const auto& [id, dealer] : dealers_) {
    if (dealer.endpoint == endpoint && dealer.key == public_key) return id;
  }
  if (dealers_.size() >= options_.max_peers) return absl::ResourceExhaustedError("too many peers");
  BATON_ASSIGN_OR_RETURN(ZmqSocket socket, ZmqSocket::Dealer(context_.get(), options_, endpoint, public_key));
  dealers_.emplace(++last_peer_, Dealer{endpoint, public_key, std::move(socket)});
  return last_peer_;
}

void ZmqWire::Disconnect(PeerId peer) {
  dealers_.erase(peer);
  Forget(peer);
  std::vector<uint64_t> tags;
  for (const auto& [tag, batch] : reads_) {
    if (batch.peer == peer) tags.push_back(tag);
  }
  for (const uint64_t tag : tags) Abort(tag);
}

WireResult ZmqWire::SendFrame(PeerId peer, ZmqFrameKind kind, uint64_t tag, ZmqBytes payload) {
  if (auto dealer = dealers_.find(peer); dealer != dealers_.end()) {
    return dealer->second.socket.Send("", kind, tag, std::move(payload));
  }
  auto accepted = identities_.find(peer);
  if (accepted == identities_.end()) return WireResult::kGone;
  const WireResult result = router_.Send(accepted->second, kind, tag, std::move(payload));
  if (result == WireResult::kGone) Forget(peer);
  return result;
}

WireResult ZmqWire::PostReads(ReadBatch batch) {
  const WireResult result = SendFrame(batch.peer, ZmqFrameKind::kRead, batch.tag, ZmqBytes(batch.grant));
  if (result == WireResult::kOk) {
    const uint64_t tag = batch.tag;
    reads_[tag] = std::move(batch);
  }
  return result;
}

PeerId ZmqWire::Accept(const std::string& identity) {
  auto it = accepted_.find(identity);
  if (it != accepted_.end()) return it->second;
  if (accepted_.size() >= options_.max_accepted) Forget(identities_.begin()->first);
  accepted_[identity] = ++last_peer_;
  identities_[last_peer_] = identity;
  return last_peer_;
}

void ZmqWire::Forget(PeerId accepted) {
  auto it = identities_.find(accepted);
  if (it == identities_.end()) return;
  accepted_.erase(it->second);
  identities_.erase(it);
}

void ZmqWire::Poll(absl::Duration timeout, WireHandler* handler) {
  if (!done_.empty()) timeout = absl::ZeroDuration();
  ReportDone(handler);

  std::vector<PeerId> peers;
  std::vector<zmq_pollitem_t> items = {{nullptr, wake_.fd(), ZMQ_POLLIN, 0},
                                       {router_.raw(), 0, ZMQ_POLLIN, 0}};
  const size_t first_dealer = options_.watch_fd >= 0 ? 3 : 2;
  if (options_.watch_fd >= 0) items.push_back({nullptr, options_.watch_fd, ZMQ_POLLIN, 0});
  for (const auto& [id, dealer] : dealers_) {
    peers.push_back(id);
    items.push_back({dealer.socket.raw(), 0, ZMQ_POLLIN, 0});
  }
  const absl::Duration longest = absl::Seconds(60);
  const int64_t ms = absl::ToInt64Milliseconds(
      absl::Ceil(std::clamp(timeout, absl::ZeroDuration(), longest), absl::Milliseconds(1)));
  if (!done_.empty() || zmq_poll(items.data(), static_cast<int>(items.size()), ms) <= 0)
    return ReportDone(handler);

  if (items[0].revents & ZMQ_POLLIN) wake_.Drain();
  if (items[1].revents & ZMQ_POLLIN) DrainRouter(handler);
  for (size_t i = 0; i < peers.size(); ++i) {
    if (items[first_dealer + i].revents & ZMQ_POLLIN) DrainDealer(peers[i], handler);
  }
  ReportDone(handler);
}

void ZmqWire::DrainRouter(WireHandler* handler) {
  for (int i = 0; i < kFramesPerSocket; ++i) {
    ZmqFrame frame;
    const ZmqSocket::Received received = router_.Receive(&frame);
    if (received == ZmqSocket::Received::kNothing) return;
    const PeerId from = Accept(frame.identity);
    if (received == ZmqSocket::Received::kMalformed) {
      handler->OnMalformed(from, "not a frame of ours");
    } else if (frame.kind == ZmqFrameKind::kMessage) {
      handler->OnMessage(from, frame.payload.view());
    } else if (frame.kind == ZmqFrameKind::kRead) {
      Serve(from, frame, handler);
    } else {
      handler->OnMalformed(from, "an answer where a request belongs");
    }
  }
}

void ZmqWire::DrainDealer(PeerId peer, WireHandler* handler) {
  for (int i = 0; i < kFramesPerSocket; ++i) {
    auto dealer = dealers_.find(peer);
    if (dealer == dealers_.end()) return;
    ZmqFrame frame;
    const ZmqSocket::Received received = dealer->second.socket.Receive(&frame);
    if (received == ZmqSocket::Received::kNothing) return;
    if (received == ZmqSocket::Received::kMalformed) {
      handler->OnMalformed(peer, "not a frame of ours");
    } else if (frame.kind == ZmqFrameKind::kMessage) {
      handler->OnMessage(peer, frame.payload.view());
    } else if (frame.kind == ZmqFrameKind::kRead) {
      handler->OnMalformed(peer, "a request where an answer belongs");
    } else {
      Land(peer, frame);
      ReportDone(handler);
    }
  }
}

void ZmqWire::Serve(PeerId from, ZmqFrame& frame, WireHandler* handler) {
  const auto ranges = handler->OnRead(from, frame.payload.view());
  const auto most = static_cast<size_t>(options_.max_message_bytes);
  const auto total = ranges.ok() ? regions_.Check(*ranges, most) : ranges.status();
  if (!total.ok()) {
    SendFrame(from, ZmqFrameKind::kRefused, frame.tag, ZmqBytes(total.status().message()));
    return;
  }
  ZmqBytes bytes(*total);
  if (bytes.size() != *total) return;  // out of memory: the reader asks again
  regions_.Gather(*ranges, bytes.data());
  SendFrame(from, ZmqFrameKind::kData, frame.tag, std::move(bytes));
}

void ZmqWire::Land(PeerId from, ZmqFrame& frame) {
  auto it = reads_.find(frame.tag);
  if (it == reads_.end() || it->second.peer != from) return;  // aborted before
  absl::Status status;
  if (frame.kind == ZmqFrameKind::kRefused) {
    status = absl::FailedPreconditionError(frame.payload.view().substr(0, 256));
  } else if (frame.payload.size() != TotalLength(it->second.ops)) {
    status = absl::FailedPreconditionError("the answer has another length");
  } else if (status = regions_.Check(it->second); status.ok()) {
    if (!regions_.Scatter(frame.payload.data(), it->second)) status = absl::DataLossError(kWrongBytes);
  }
  done_.emplace_back(frame.tag, std::move(status));
  reads_.erase(it);
}

void ZmqWire::ReportDone(WireHandler* handler) {
  while (!done_.empty()) {
    auto [tag, status] = std::move(done_.front());
    done_.pop_front();
    handler->OnReadDone(tag, std::move(status));
  }
}

// "tcp://host:port" as bound, with the host that peers should use.
std::string Advertised(const std::string& bound, const std::string& host) {
  const size_t colon = bound.rfind(':');
  if (host.empty() || colon == std::string::npos) return bound;
  const bool bare_ipv6 = host.find(':') != std::string::npos && host.front() != '[';
  return absl::StrCat("tcp://", bare_ipv6 ? absl::StrCat("[", host, "]") : host, bound.substr(colon));
}

}  // namespace

absl::StatusOr<std::unique_ptr<Transport>> NewZmqTransport(const ZmqOptions& options) {
  if (options.curve_public_key.empty() != options.curve_secret_key.empty()) {
    return absl::InvalidArgumentError("CURVE needs both a public and a secret key, or neither");
  }
  std::unique_ptr<void, ContextCloser> context(zmq_ctx_new());
  if (context == nullptr) return absl::UnavailableError("ZeroMQ: no context");
  zmq_ctx_set(context.get(), ZMQ_IO_THREADS, options.io_threads);
  zmq_ctx_set(context.get(), ZMQ_MAX_SOCKETS, static_cast<int>(options.max_peers + 16));
  BATON_ASSIGN_OR_RETURN(ZmqSocket router, ZmqSocket::Router(context.get(), options));
  std::string endpoint = Advertised(router.LastEndpoint(), options.advertise_host);
  auto wire = std::make_unique<ZmqWire>(options, context.release(), std::move(router), std::move(endpoint));
  if (!wire->ok()) return absl::UnavailableError("no eventfd");
  return wire;
}

}  // namespace baton
