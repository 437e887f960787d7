#include "services/kv_transfer/transport/zmq_wire.h"

#include <spdlog/spdlog.h>
#include <sys/eventfd.h>
#include <unistd.h>
#include <zmq.h>

#include <algorithm>
#include <deque>
#include <map>
#include <optional>
#include <utility>
#include <vector>

#include "absl/strings/str_cat.h"
#include "common/clock.h"
#include "common/status_macros.h"
#include "services/kv_transfer/transport/regions.h"
#include "services/kv_transfer/transport/zmq_gate.h"
#include "services/kv_transfer/transport/zmq_guests.h"
#include "services/kv_transfer/transport/zmq_link.h"
#include "services/kv_transfer/transport/zmq_monitor.h"

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

// "tcp://host:port" as bound, with the host that peers should use.
std::string Advertised(const std::string& bound, const std::string& host) {
  const size_t colon = bound.rfind(':');
  if (host.empty() || colon == std::string::npos) return bound;
  const bool bare_ipv6 = host.find(':') != std::string::npos && host.front() != '[';
  return absl::StrCat("tcp://", bare_ipv6 ? absl::StrCat("[", host, "]") : host, bound.substr(colon));
}

class ZmqWire final : public Transport {
 public:
  ZmqWire(const ZmqOptions& options, void* context)
      : options_(options), context_(context), guests_(options.max_accepted, options.max_unproven) {}

  absl::Status Start();

  absl::string_view name() const override { return "zmq"; }
  bool VerifiesReads() const override { return true; }
  const std::string& endpoint() const override { return endpoint_; }
  const std::string& public_key() const override { return gate_->public_key(); }
  std::string PeerName(PeerId peer) const override { return ZmqGate::NameIn(guests_.UserOf(peer)); }

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

 private:
  struct Dealer {
    ZmqLink link;
    std::string public_key;  // as given to Connect
  };

  WireResult SendFrame(PeerId peer, ZmqFrameKind kind, uint64_t tag, ZmqBytes payload);
  void EndReads(PeerId peer, const absl::Status& status);
  // Serves timers: looks at the key files, gives up peers. The time until there is something to do again.
  absl::Duration ServeTimers(WireHandler* handler);
  void OnKeysChanged(WatchedKeys::Change change, WireHandler* handler);
  void ProveAnew(PeerId peer, Dealer& dealer);
  void Retry(Dealer& dealer);
  void WatchGuests(WireHandler* handler);
  void WatchDealer(PeerId peer, WireHandler* handler);
  void DrainRouter(WireHandler* handler);
  void DrainDealer(PeerId peer, WireHandler* handler);
  void Serve(PeerId from, ZmqFrame& frame, WireHandler* handler);
  void Land(PeerId from, ZmqFrame& frame);
  void ReportDone(WireHandler* handler);

  const ZmqOptions options_;
  const SteadyClock clock_;
  const std::unique_ptr<void, ContextCloser> context_;
  std::unique_ptr<ZmqGate> gate_;  // outlives the sockets
  std::optional<ZmqMonitor> router_monitor_;
  std::optional<ZmqSocket> router_;
  std::string endpoint_;
  const WakeFd wake_;
  Regions regions_;
  PeerId last_peer_ = 0;
  ZmqGuests guests_;
  std::map<PeerId, Dealer> dealers_;
  std::map<uint64_t, ReadBatch> reads_;  // posted and not complete, by tag
  std::deque<std::pair<uint64_t, absl::Status>> done_;
};

absl::Status ZmqWire::Start() {
  if (wake_.fd() < 0) return absl::UnavailableError("no eventfd");
  BATON_ASSIGN_OR_RETURN(gate_, ZmqGate::Open(context_.get(), options_, clock_.Now()));
  BATON_ASSIGN_OR_RETURN(router_, ZmqSocket::Router(context_.get(), options_));
  BATON_ASSIGN_OR_RETURN(router_monitor_, ZmqMonitor::Attach(context_.get(), router_->raw()));
  BATON_RETURN_IF_ERROR(router_->Bind(options_.bind));
  endpoint_ = Advertised(router_->LastEndpoint(), options_.advertise_host);
  if (!gate_->guarded()) {
    spdlog::warn(
        "handoff: whoever reaches {} may open handoffs there{}: --kv_key and --kv_allowed_keys "
        "restrict it (./baton keys --help)",
        endpoint_, options_.curve_secret_key.empty() ? ", and nothing is encrypted" : "");
  }
  return absl::OkStatus();
}

absl::StatusOr<PeerId> ZmqWire::Connect(const std::string& endpoint, const std::string& public_key) {
  BATON_ASSIGN_OR_RETURN(const std::string server_key, gate_->ServerKey(public_key));
  for (auto& [id, dealer] : dealers_) {
    if (dealer.link.endpoint() != endpoint || dealer.link.server_key() != server_key) continue;
    dealer.public_key = public_key;
    return id;
  }
  if (dealers_.size() >= options_.max_peers) return absl::ResourceExhaustedError("too many peers");
  BATON_ASSIGN_OR_RETURN(ZmqLink link, ZmqLink::Open(context_.get(), options_, endpoint, server_key,
                                                     gate_->Ours(), clock_.Now()));
  dealers_.emplace(++last_peer_, Dealer{std::move(link), public_key});
  return last_peer_;
}

void ZmqWire::EndReads(PeerId peer, const absl::Status& status) {
  for (auto it = reads_.begin(); it != reads_.end();) {
    if (it->second.peer != peer) {
      ++it;
      continue;
    }
    done_.emplace_back(it->first, status);
    it = reads_.erase(it);
  }
}

void ZmqWire::Disconnect(PeerId peer) {
  dealers_.erase(peer);
  guests_.Forget(peer);
  EndReads(peer, absl::CancelledError("disconnected"));
}

WireResult ZmqWire::SendFrame(PeerId peer, ZmqFrameKind kind, uint64_t tag, ZmqBytes payload) {
  if (auto dealer = dealers_.find(peer); dealer != dealers_.end()) {
    return dealer->second.link.socket().Send("", kind, tag, std::move(payload));
  }
  const std::string* identity = guests_.IdentityOf(peer);
  if (identity == nullptr) return WireResult::kGone;
  const WireResult result = router_->Send(*identity, kind, tag, std::move(payload));
  if (result == WireResult::kGone) guests_.Forget(peer);
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

absl::Duration ZmqWire::ServeTimers(WireHandler* handler) {
  const MonoTime now = clock_.Now();
  if (const auto change = gate_->Look(now); change.own || change.allowed) OnKeysChanged(change, handler);
  MonoTime next = gate_->next_look();
  std::vector<std::pair<PeerId, std::string>> gone;
  for (auto& [peer, dealer] : dealers_) {
    if (dealer.link.Gone(now)) gone.emplace_back(peer, dealer.link.why());
    if (dealer.link.gone_at() == absl::InfiniteFuture()) continue;
    if (dealer.link.RetryDue(now)) Retry(dealer);
    next = std::min({next, dealer.link.gone_at(), dealer.link.retry_at()});
  }
  for (const auto& [peer, why] : gone) handler->OnPeerChange(peer, PeerChange::kGone, why);
  return next - now;
}

void ZmqWire::OnKeysChanged(WatchedKeys::Change change, WireHandler* handler) {
  if (change.own) {
    for (auto& [peer, dealer] : dealers_) ProveAnew(peer, dealer);
  }
  if (!change.allowed) return;
  for (const auto& [peer, user] :
       guests_.CutAllBut([this](const auto& user) { return gate_->Listed(user); })) {
    if (!gate_->HasName(ZmqGate::NameIn(user)))
      handler->OnPeerChange(peer, PeerChange::kDenied, "its key is not listed any more");
  }
  std::vector<std::pair<PeerId, std::string>> gone;
  for (const auto& [peer, dealer] : dealers_) {
    const auto listed = gate_->ServerKey(dealer.public_key);
    if (!listed.ok()) gone.emplace_back(peer, std::string(listed.status().message()));
  }
  for (const auto& [peer, why] : gone) handler->OnPeerChange(peer, PeerChange::kGone, why);
}

// The connection is made again, with our new key; a key that was let in stays so until it is taken off the
// list.
void ZmqWire::ProveAnew(PeerId peer, Dealer& dealer) {
  auto link = ZmqLink::Open(context_.get(), options_, dealer.link.endpoint(), dealer.link.server_key(),
                            gate_->Ours(), clock_.Now());
  if (!link.ok()) return;
  std::swap(dealer.link, *link);
  dealer.link.SayWhenBack();
  EndReads(peer, absl::UnavailableError("connected anew"));
}

void ZmqWire::Retry(Dealer& dealer) {
  auto link = ZmqLink::Open(context_.get(), options_, dealer.link.endpoint(), dealer.link.server_key(),
                            gate_->Ours(), clock_.Now());
  if (!link.ok()) return;
  link->TakeOver(dealer.link);
  std::swap(dealer.link, *link);
}

void ZmqWire::Poll(absl::Duration timeout, WireHandler* handler) {
  timeout = std::min(timeout, ServeTimers(handler));
  if (!done_.empty()) timeout = absl::ZeroDuration();
  ReportDone(handler);

  std::vector<zmq_pollitem_t> items = {{nullptr, wake_.fd(), ZMQ_POLLIN, 0},
                                       {router_->raw(), 0, ZMQ_POLLIN, 0},
                                       {router_monitor_->raw(), 0, ZMQ_POLLIN, 0}};
  std::vector<PeerId> peers;
  for (auto& [id, dealer] : dealers_) {
    peers.push_back(id);
    items.push_back({dealer.link.socket().raw(), 0, ZMQ_POLLIN, 0});
    items.push_back({dealer.link.monitor(), 0, ZMQ_POLLIN, 0});
  }
  if (gate_->raw() != nullptr) items.push_back({gate_->raw(), 0, ZMQ_POLLIN, 0});
  if (options_.watch_fd >= 0) items.push_back({nullptr, options_.watch_fd, ZMQ_POLLIN, 0});
  const absl::Duration longest = absl::Seconds(60);
  const int64_t ms = absl::ToInt64Milliseconds(
      absl::Ceil(std::clamp(timeout, absl::ZeroDuration(), longest), absl::Milliseconds(1)));
  if (!done_.empty() || zmq_poll(items.data(), static_cast<int>(items.size()), ms) <= 0)
    return ReportDone(handler);

  const auto readable = [&items](size_t i) { return (items[i].revents & ZMQ_POLLIN) != 0; };
  if (readable(0)) wake_.Drain();
  gate_->Serve(handler);
  if (readable(2)) WatchGuests(handler);
  if (readable(1)) DrainRouter(handler);
  for (size_t i = 0; i < peers.size(); ++i) {
    if (readable(3 + 2 * i)) DrainDealer(peers[i], handler);
    if (readable(4 + 2 * i)) WatchDealer(peers[i], handler);
  }
  ReportDone(handler);
}

void ZmqWire::WatchGuests(WireHandler* handler) {
  while (const auto event = router_monitor_->Next()) {
    if (event->what == ZmqMonitor::What::kAccepted) guests_.OnAccepted(event->value);
    if (event->what == ZmqMonitor::What::kDisconnected) guests_.OnClosed(event->value);
    if (event->what == ZmqMonitor::What::kNotOurs)
      handler->OnDenied("a connection that proves no key, or went while it should");
  }
}

void ZmqWire::WatchDealer(PeerId peer, WireHandler* handler) {
  for (auto change = ZmqLink::Change::kBroken; change != ZmqLink::Change::kNone;) {
    auto dealer = dealers_.find(peer);
    if (dealer == dealers_.end()) return;
    change = dealer->second.link.Look(clock_.Now());
    if (change == ZmqLink::Change::kBroken) EndReads(peer, absl::UnavailableError("the connection broke"));
    if (change == ZmqLink::Change::kBack) handler->OnPeerChange(peer, PeerChange::kBack, "");
  }
}

void ZmqWire::DrainRouter(WireHandler* handler) {
  for (int i = 0; i < kFramesPerSocket; ++i) {
    ZmqFrame frame;
    const ZmqSocket::Received received = router_->Receive(&frame);
    if (received == ZmqSocket::Received::kNothing) return;
    if (!gate_->Listed(frame.user)) {
      handler->OnDenied("a message from one who is not listed any more");
      guests_.Cut(frame.fd);
      continue;
    }
    const PeerId from = guests_.Know(frame.identity, frame.user, frame.fd, last_peer_ + 1);
    last_peer_ = std::max(last_peer_, from);
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
    const ZmqSocket::Received received = dealer->second.link.socket().Receive(&frame);
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

}  // namespace

absl::StatusOr<std::unique_ptr<Transport>> NewZmqTransport(const ZmqOptions& options) {
  std::unique_ptr<void, ContextCloser> context(zmq_ctx_new());
  if (context == nullptr) return absl::UnavailableError("ZeroMQ: no context");
  zmq_ctx_set(context.get(), ZMQ_IO_THREADS, options.io_threads);
  zmq_ctx_set(context.get(), ZMQ_MAX_SOCKETS, static_cast<int>(3 * options.max_peers + 16));
  auto wire = std::make_unique<ZmqWire>(options, context.release());
  BATON_RETURN_IF_ERROR(wire->Start());
  return wire;
}

}  // namespace baton
