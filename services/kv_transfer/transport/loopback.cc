#include "services/kv_transfer/transport/loopback.h"

#include <algorithm>
#include <deque>
#include <utility>

#include "absl/strings/str_cat.h"

namespace baton {
namespace {

constexpr size_t kMaxRead = 64 << 20;
constexpr size_t kFramesPerPoll = 256;

}  // namespace

class LoopbackTransport final : public Transport {
 public:
  LoopbackTransport(LoopbackNetwork* network, std::string endpoint)
      : network_(network), endpoint_(std::move(endpoint)) {}
  ~LoopbackTransport() override { network_->Close(endpoint_); }

  absl::string_view name() const override { return "loopback"; }
  const std::string& endpoint() const override { return endpoint_; }
  const std::string& public_key() const override { return key_; }

  absl::StatusOr<RegionId> Register(absl::Span<std::byte> memory) override { return regions_.Add(memory); }
  std::string RemoteKey(RegionId) const override { return ""; }
  void UnregisterAll() override { regions_.Clear(); }

  absl::StatusOr<PeerId> Connect(const std::string& endpoint, const std::string&) override {
    for (const auto& [id, peer] : peers_) {
      if (peer.connector && peer.endpoint == endpoint) return id;
    }
    peers_[++last_peer_] = {endpoint, last_peer_, true};
    return last_peer_;
  }

  void Disconnect(PeerId peer) override {
    peers_.erase(peer);
    for (auto it = reads_.begin(); it != reads_.end();) {
      if (it->second.peer == peer) {
        done_.emplace_back(it->first, absl::CancelledError("disconnected"));
        it = reads_.erase(it);
      } else {
        ++it;
      }
    }
  }

  WireResult Send(PeerId peer, absl::string_view message) override {
    return Put(peer, LoopbackFrame::Kind::kMessage, 0, std::string(message));
  }

  WireResult PostReads(ReadBatch batch) override {
    const WireResult result = Put(batch.peer, LoopbackFrame::Kind::kRead, batch.tag, batch.grant);
    if (result == WireResult::kOk) reads_[batch.tag] = std::move(batch);
    return result;
  }

  void Abort(uint64_t tag) override {
    if (network_->options_.lazy_abort || reads_.erase(tag) == 0) return;
    done_.emplace_back(tag, absl::CancelledError("aborted"));
  }

  void Poll(absl::Duration timeout, WireHandler* handler) override {
    if (!done_.empty()) timeout = absl::ZeroDuration();
    ReportDone(handler);
    for (LoopbackFrame& frame : network_->Take(endpoint_, timeout, kFramesPerPoll)) Receive(frame, handler);
    ReportDone(handler);
  }
  void Wake() override { network_->Wake(endpoint_); }

 private:
  struct Peer {
    std::string endpoint;
    PeerId connection = 0;
    bool connector = false;  // we connected
  };

  WireResult Put(PeerId peer, LoopbackFrame::Kind kind, uint64_t tag, std::string bytes) {
    auto it = peers_.find(peer);
    if (it == peers_.end()) return WireResult::kGone;
    const Peer& to = it->second;
    return network_->Deliver(
        {kind, endpoint_, to.endpoint, to.connection, to.connector, tag, std::move(bytes)});
  }

  PeerId PeerOf(const LoopbackFrame& frame) {
    for (const auto& [id, peer] : peers_) {
      if (peer.endpoint == frame.from && peer.connection == frame.connection &&
          peer.connector != frame.from_connector) {
        return id;
      }
    }
    if (!frame.from_connector) return 0;
    peers_[++last_peer_] = {frame.from, frame.connection, false};
    return last_peer_;
  }

  void Receive(const LoopbackFrame& frame, WireHandler* handler) {
    const PeerId from = PeerOf(frame);
    if (from == 0) return;
    switch (frame.kind) {
      case LoopbackFrame::Kind::kMessage:
        return handler->OnMessage(from, frame.bytes);
      case LoopbackFrame::Kind::kRead:
        return Serve(from, frame, handler);
      case LoopbackFrame::Kind::kData:
      case LoopbackFrame::Kind::kRefused:
        return Land(from, frame);
    }
  }

  void Serve(PeerId from, const LoopbackFrame& frame, WireHandler* handler) {
    const auto ranges = handler->OnRead(from, frame.bytes);
    const auto total = ranges.ok() ? regions_.Check(*ranges, kMaxRead) : ranges.status();
    if (!total.ok()) {
      Put(from, LoopbackFrame::Kind::kRefused, frame.tag, std::string(total.status().message()));
      return;
    }
    std::string bytes(*total, '\0');
    regions_.Gather(*ranges, reinterpret_cast<std::byte*>(bytes.data()));
    Put(from, LoopbackFrame::Kind::kData, frame.tag, std::move(bytes));
  }

  void Land(PeerId from, const LoopbackFrame& frame) {
    auto it = reads_.find(frame.tag);
    if (it == reads_.end() || it->second.peer != from) return;
    absl::Status status;
    if (frame.kind == LoopbackFrame::Kind::kRefused) {
      status = absl::FailedPreconditionError(frame.bytes);
    } else if (frame.bytes.size() != TotalLength(it->second.ops) || !regions_.LocalsFit(it->second.ops)) {
      status = absl::FailedPreconditionError("the answer has another length");
    } else {
      it->second.checks.clear();
      regions_.Scatter(reinterpret_cast<const std::byte*>(frame.bytes.data()), it->second);
    }
    done_.emplace_back(frame.tag, std::move(status));
    reads_.erase(it);
  }

  void ReportDone(WireHandler* handler) {
    while (!done_.empty()) {
      auto [tag, status] = std::move(done_.front());
      done_.pop_front();
      handler->OnReadDone(tag, std::move(status));
    }
  }

  LoopbackNetwork* const network_;
  const std::string endpoint_;
  const std::string key_;
  Regions regions_;
  PeerId last_peer_ = 0;
  std::map<PeerId, Peer> peers_;
  std::map<uint64_t, ReadBatch> reads_;
  std::deque<std::pair<uint64_t, absl::Status>> done_;
};

std::unique_ptr<Transport> LoopbackNetwork::NewTransport(std::string endpoint) {
  absl::MutexLock lock(&mutex_);
  if (endpoint.empty()) endpoint = absl::StrCat("loopback:", ++last_endpoint_);
  inboxes_[endpoint];
  return std::make_unique<LoopbackTransport>(this, std::move(endpoint));
}

WireResult LoopbackNetwork::Deliver(const LoopbackFrame& frame) {
  absl::MutexLock lock(&mutex_);
  auto inbox = inboxes_.find(frame.to);
  if (inbox == inboxes_.end()) return frame.from_connector ? WireResult::kOk : WireResult::kGone;
  if (inbox->second.size() >= options_.max_frames) return WireResult::kBusy;
  const LoopbackFault fault = options_.hook ? options_.hook(frame) : LoopbackFault{};
  LoopbackFrame sent = frame;
  if (fault.corrupt && !sent.bytes.empty()) sent.bytes[sent.bytes.size() / 2] ^= 0x55;
  const MonoTime due = clock_->Now() + fault.delay;
  for (int i = 0; i < fault.copies; ++i) inbox->second.emplace(due, sent);
  arrived_.SignalAll();
  return WireResult::kOk;
}

std::vector<LoopbackFrame> LoopbackNetwork::Take(const std::string& endpoint, absl::Duration timeout,
                                                 size_t most) {
  absl::MutexLock lock(&mutex_);
  Inbox& inbox = inboxes_.at(endpoint);
  const MonoTime until = clock_->Now() + timeout;
  MonoTime now = clock_->Now();
  while (now < until && !woken_.contains(endpoint) && (inbox.empty() || inbox.begin()->first > now)) {
    const MonoTime next = inbox.empty() ? until : std::min(until, inbox.begin()->first);
    arrived_.WaitWithTimeout(&mutex_, next - now);
    now = clock_->Now();
  }
  woken_.erase(endpoint);
  std::vector<LoopbackFrame> out;
  while (!inbox.empty() && inbox.begin()->first <= now && out.size() < most) {
    out.push_back(std::move(inbox.begin()->second));
    inbox.erase(inbox.begin());
  }
  return out;
}

MonoTime LoopbackNetwork::NextDue() const {
  absl::MutexLock lock(&mutex_);
  MonoTime next = absl::InfiniteFuture();
  for (const auto& [endpoint, inbox] : inboxes_) {
    if (!inbox.empty()) next = std::min(next, inbox.begin()->first);
  }
  return next;
}

void LoopbackNetwork::Wake(const std::string& endpoint) {
  absl::MutexLock lock(&mutex_);
  woken_.insert(endpoint);
  arrived_.SignalAll();
}

void LoopbackNetwork::Close(const std::string& endpoint) {
  absl::MutexLock lock(&mutex_);
  inboxes_.erase(endpoint);
  woken_.erase(endpoint);
}

}  // namespace baton
