#include "services/kv_transfer/transport/fast_wire.h"

#include <spdlog/spdlog.h>

#include <algorithm>
#include <cstring>
#include <map>
#include <utility>

#include "absl/strings/str_cat.h"
#include "common/mutex.h"
#include "common/status_macros.h"
#include "services/kv_transfer/transport/lanes.h"
#include "services/kv_transfer/transport/mapped_path.h"
#include "services/kv_transfer/transport/peer_link.h"
#include "services/kv_transfer/transport/regions.h"
#include "services/kv_transfer/transport/stream_path.h"
#include "services/kv_transfer/transport/stream_server.h"
#include "services/kv_transfer/transport/ucx_node.h"
#include "services/kv_transfer/transport/watch.h"
#include "services/kv_transfer/transport/wire_key.h"
#include "services/kv_transfer/transport/zmq_wire.h"

namespace baton {
namespace {

constexpr std::pair<WireChoice, absl::string_view> kNames[] = {{WireChoice::kAuto, "auto"},
                                                               {WireChoice::kShm, "shm"},
                                                               {WireChoice::kUcx, "ucx"},
                                                               {WireChoice::kTcp, "tcp"},
                                                               {WireChoice::kZmq, "zmq"}};
constexpr uint32_t kMaxPong = 256 << 10;

// A message of FastWire's own, which no handoff message can be: its first byte is no protobuf tag.
struct Ping {
  static constexpr char kMagic[4] = {'\xff', 'B', 'P', '\x01'};
  char magic[4] = {};
  uint8_t answer = 0;
  uint64_t nonce = 0;
  uint32_t bytes = 0;  // that the answer shall have, besides its own
};
constexpr size_t kPingBytes = 4 + 1 + 8 + 4;

std::string EncodePing(bool answer, uint64_t nonce, uint32_t bytes) {
  std::string out(Ping::kMagic, 4);
  out.push_back(answer ? 1 : 0);
  out.append(reinterpret_cast<const char*>(&nonce), sizeof nonce);
  out.append(reinterpret_cast<const char*>(&bytes), sizeof bytes);
  if (answer) out.resize(out.size() + bytes);
  return out;
}

bool DecodePing(absl::string_view message, Ping* ping) {
  if (message.size() < kPingBytes || std::memcmp(message.data(), Ping::kMagic, 4) != 0) return false;
  ping->answer = static_cast<uint8_t>(message[4]);
  std::memcpy(&ping->nonce, message.data() + 5, 8);
  std::memcpy(&ping->bytes, message.data() + 13, 4);
  return true;
}

class FastWire final : public Transport, WireHandler, PeerLink::Host, Lanes::Host {
 public:
  FastWire(FastWireOptions options, const Clock* clock)
      : options_(std::move(options)), clock_(clock), process_(RandomId128()) {}
  ~FastWire() override {
    lanes_.reset();
    links_.clear();
    stream_.reset();
    ucx_.reset();
  }

  absl::Status Start();

  absl::string_view name() const override { return WireChoiceName(options_.choice); }
  const std::string& endpoint() const override { return messages_->endpoint(); }
  const std::string& public_key() const override { return messages_->public_key(); }
  bool VerifiesReads() const override { return true; }
  std::string PeerName(PeerId peer) const override { return messages_->PeerName(peer); }
  std::vector<WireLink> links() const override {
    MutexLock lock(&mutex_);
    return published_;
  }

  absl::StatusOr<RegionId> Register(absl::Span<std::byte> memory) override;
  std::string RemoteKey(RegionId region) const override;
  void UnregisterAll() override;

  absl::StatusOr<PeerId> Connect(const std::string& endpoint, const std::string& public_key) override;
  void Disconnect(PeerId peer) override;
  WireResult Send(PeerId peer, absl::string_view message) override;
  WireResult PostReads(ReadBatch batch) override;
  void Abort(uint64_t tag) override;
  void Poll(absl::Duration timeout, WireHandler* handler) override;
  void Wake() override { messages_->Wake(); }

 private:
  // WireHandler, of the messages.
  void OnMessage(PeerId from, absl::string_view message) override;
  absl::StatusOr<std::vector<ByteRange>> OnRead(PeerId from, absl::string_view grant) override {
    return handler_->OnRead(from, grant);
  }
  void OnReadDone(uint64_t tag, absl::Status status) override { done_.push_back({tag, std::move(status)}); }
  void OnMalformed(PeerId from, absl::string_view why) override { handler_->OnMalformed(from, why); }
  void OnDenied(absl::string_view who) override { handler_->OnDenied(who); }
  void OnPeerChange(PeerId peer, PeerChange change, absl::string_view why) override {
    if (lanes_ != nullptr) lanes_->Drop(peer);  // it may be another life of it, or has another key
    handler_->OnPeerChange(peer, change, why);
  }

  // PeerLink::Host
  const FastWireOptions& options() const override { return options_; }
  MonoTime Now() const override { return clock_->Now(); }
  uint64_t NewTag() override { return ++last_probe_ | (uint64_t{1} << 63); }
  absl::StatusOr<std::unique_ptr<BytePath>> Open(WireChoice kind, const WireKey& key,
                                                 const std::string& remote_key,
                                                 const std::string& endpoint) override;
  WireResult PostInline(ReadBatch batch) override { return messages_->PostReads(std::move(batch)); }
  WireResult Ping(PeerId peer, uint64_t nonce, uint32_t bytes) override {
    const std::string ping = EncodePing(false, nonce, bytes);
    return bytes == 0 ? Send(peer, ping) : messages_->Send(peer, ping);
  }

  // Lanes::Host
  bool Knows(PeerId peer) const override { return messages_->Knows(peer); }
  WireResult SendProven(PeerId peer, absl::string_view message) override {
    return messages_->Send(peer, message);
  }
  void OnLaneMessage(PeerId from, absl::string_view message) override;
  void OnLaneMalformed(PeerId from, absl::string_view why) override { handler_->OnMalformed(from, why); }
  void OnLaneDenied(absl::string_view who) override { handler_->OnDenied(who); }
  void OnLaneChange(PeerId peer, bool up) override {
    if (auto link = links_.find(peer); link != links_.end()) link->second.OnLane(up);
  }

  // Returns whether there is more to do at once.
  bool Progress();
  // Returns whether it did: the handler may have posted more.
  bool Report();
  void Publish();

  const FastWireOptions options_;
  const Clock* const clock_;
  const Id128 process_;
  const Watch watch_;
  Regions regions_;
  std::unique_ptr<Transport> messages_;
  std::unique_ptr<StreamServer> stream_;
  std::unique_ptr<UcxNode> ucx_;
  std::unique_ptr<Lanes> lanes_;  // none: memory is not shared
  std::map<PeerId, std::string> endpoints_;
  std::map<PeerId, PeerLink> links_;
  std::vector<ReadDone> done_;
  WireHandler* handler_ = nullptr;  // within Poll
  uint64_t last_probe_ = 0;
  mutable Mutex mutex_;
  std::vector<WireLink> published_ ABSL_GUARDED_BY(mutex_);
};

absl::Status FastWire::Start() {
  if (watch_.fd() < 0) return absl::UnavailableError("no epoll");
  ZmqOptions zmq = options_.zmq;
  zmq.watch_fd = watch_.fd();
  BATON_ASSIGN_OR_RETURN(messages_, NewZmqTransport(zmq));
  const WireChoice asked = options_.choice;
  if (asked == WireChoice::kShm && options_.shared.empty())
    return absl::UnavailableError("--kv_wire=shm, and no memory is shared");
  if (options_.encrypted() && (asked == WireChoice::kTcp || asked == WireChoice::kUcx))
    spdlog::warn("--kv_wire={}: keys and values travel in the clear", std::string(WireChoiceName(asked)));
  if ((asked == WireChoice::kAuto && !options_.encrypted()) || asked == WireChoice::kTcp) {
    BATON_ASSIGN_OR_RETURN(stream_, StreamServer::Listen(options_.zmq, &regions_, &watch_));
  }
  if ((asked == WireChoice::kAuto && !options_.shared.empty()) || asked == WireChoice::kShm) {
    BATON_ASSIGN_OR_RETURN(lanes_, Lanes::Open(this, &watch_));
  }
  const bool rdma = HasRdma();
  if ((asked == WireChoice::kAuto && rdma) || asked == WireChoice::kUcx) {
    auto ucx = UcxNode::Start(UcxOptionsFor(options_.zmq.bind, rdma), &regions_, &watch_);
    if (!ucx.ok() && asked == WireChoice::kUcx)
      return absl::UnavailableError(absl::StrCat("--kv_wire=ucx: ", ucx.status().message()));
    if (ucx.ok()) ucx_ = *std::move(ucx);
  }
  return absl::OkStatus();
}

absl::StatusOr<RegionId> FastWire::Register(absl::Span<std::byte> memory) {
  BATON_RETURN_IF_ERROR(messages_->Register(memory).status());
  if (ucx_ != nullptr) BATON_RETURN_IF_ERROR(ucx_->Register(memory));
  return regions_.Add(memory);
}

std::string FastWire::RemoteKey(RegionId region) const {
  WireKey key{.process = process_, .bytes = regions_[region].size()};
  const bool any = options_.choice == WireChoice::kAuto;
  for (const SharedMemory* shared : options_.shared) {
    const std::byte* const first = regions_[region].data();
    const absl::Span<std::byte> whole = shared->span();
    const bool within = first >= whole.data() && first + key.bytes <= whole.data() + whole.size();
    if (!within || (!any && options_.choice != WireChoice::kShm)) continue;
    key.shared = {shared->name(), static_cast<uint64_t>(first - whole.data())};
  }
  if (stream_ != nullptr) key.stream = {stream_->address(), stream_->token()};
  if (ucx_ != nullptr) key.ucx = ucx_->KeyOf(region);
  return EncodeWireKey(key);
}

void FastWire::UnregisterAll() {
  links_.clear();
  if (stream_ != nullptr) stream_->DropReaders();
  if (ucx_ != nullptr) ucx_->UnregisterAll();
  messages_->UnregisterAll();
  regions_.Clear();
}

absl::StatusOr<PeerId> FastWire::Connect(const std::string& endpoint, const std::string& public_key) {
  BATON_ASSIGN_OR_RETURN(const PeerId peer, messages_->Connect(endpoint, public_key));
  endpoints_[peer] = endpoint;
  return peer;
}

void FastWire::Disconnect(PeerId peer) {
  if (auto link = links_.find(peer); link != links_.end()) {
    link->second.Close(&done_);
    links_.erase(link);
    Publish();
  }
  endpoints_.erase(peer);
  if (lanes_ != nullptr) lanes_->Drop(peer);
  messages_->Disconnect(peer);
}

WireResult FastWire::Send(PeerId peer, absl::string_view message) {
  if (lanes_ == nullptr) return messages_->Send(peer, message);
  if (lanes_->Send(peer, message)) return WireResult::kOk;
  if (const auto link = links_.find(peer); link != links_.end() && link->second.mapped()) lanes_->Want(peer);
  return messages_->Send(peer, message);
}

WireResult FastWire::PostReads(ReadBatch batch) {
  const auto endpoint = endpoints_.find(batch.peer);
  if (endpoint == endpoints_.end()) return WireResult::kGone;
  if (absl::Status status = regions_.Check(batch); !status.ok()) {
    done_.push_back({batch.tag, std::move(status)});
    return WireResult::kOk;
  }
  PeerLink::Host* const host = this;
  auto link = links_.try_emplace(batch.peer, batch.peer, endpoint->second, host).first;
  return link->second.Post(std::move(batch));
}

void FastWire::Abort(uint64_t tag) {
  for (auto& [peer, link] : links_) link.Abort(tag, &done_);
  messages_->Abort(tag);
}

absl::StatusOr<std::unique_ptr<BytePath>> FastWire::Open(WireChoice kind, const WireKey& key,
                                                         const std::string& remote_key,
                                                         const std::string& endpoint) {
  switch (kind) {
    case WireChoice::kShm:
      return MappedPath::Open(key, remote_key, &regions_);
    case WireChoice::kTcp:
      return StreamPath::Open(key, endpoint, &regions_, &watch_);
    case WireChoice::kUcx:
      if (ucx_ == nullptr) return absl::UnavailableError("no RDMA here");
      return ucx_->Connect(key, options_.choice == WireChoice::kAuto ? UcxWay::kRdma : UcxWay::kBest);
    default:
      return absl::InternalError("no path");
  }
}

void FastWire::OnMessage(PeerId from, absl::string_view message) {
  if (lanes_ != nullptr && lanes_->OnProven(from, message)) return;
  OnLaneMessage(from, message);
}

void FastWire::OnLaneMessage(PeerId from, absl::string_view message) {
  struct Ping ping;
  if (!DecodePing(message, &ping)) return handler_->OnMessage(from, message);
  if (ping.answer == 0) {
    const std::string pong = EncodePing(true, ping.nonce, std::min(ping.bytes, kMaxPong));
    (void)(ping.bytes == 0 ? Send(from, pong) : messages_->Send(from, pong));
  } else if (auto link = links_.find(from); link != links_.end()) {
    link->second.OnPong(ping.nonce);
  }
}

bool FastWire::Progress() {
  bool more = false, changed = false;
  if (stream_ != nullptr) more |= stream_->Progress(clock_->Now(), handler_);
  if (ucx_ != nullptr) more |= ucx_->Progress(clock_->Now(), handler_);
  for (auto& [peer, link] : links_) {
    more |= link.Progress(&done_);
    if (!link.TakeChanged()) continue;
    changed = true;
    if (lanes_ != nullptr && link.mapped()) lanes_->Want(peer);
  }
  if (changed) Publish();
  more |= Report();
  return more;
}

bool FastWire::Report() {
  const bool any = !done_.empty();
  while (!done_.empty()) {
    for (ReadDone& read : std::exchange(done_, {})) handler_->OnReadDone(read.tag, std::move(read.status));
  }
  return any;
}

void FastWire::Publish() {
  std::vector<WireLink> facts;
  for (const auto& [peer, link] : links_) {
    if (WireLink fact = link.facts(); !fact.wire.empty()) facts.push_back(std::move(fact));
  }
  MutexLock lock(&mutex_);
  published_ = std::move(facts);
}

void FastWire::Poll(absl::Duration timeout, WireHandler* handler) {
  handler_ = handler;
  const bool more = Progress();
  if (lanes_ != nullptr) lanes_->Flush();
  for (const auto& [peer, link] : links_) timeout = std::min(timeout, link.NextDeadline() - clock_->Now());
  if (more || (ucx_ != nullptr && !ucx_->Arm())) timeout = absl::ZeroDuration();
  messages_->Poll(timeout, this);
  if (lanes_ != nullptr) lanes_->Progress();
  Progress();
  if (lanes_ != nullptr) lanes_->Flush();
  handler_ = nullptr;
}

}  // namespace

absl::StatusOr<WireChoice> ParseWireChoice(absl::string_view name) {
  for (const auto& [choice, text] : kNames) {
    if (text == name) return choice;
  }
  return absl::InvalidArgumentError(absl::StrCat("\"", name, "\" is none of auto, shm, ucx, tcp, zmq"));
}

absl::string_view WireChoiceName(WireChoice choice) {
  for (const auto& [known, text] : kNames) {
    if (known == choice) return text;
  }
  return "";
}

absl::StatusOr<std::unique_ptr<Transport>> NewFastWire(const FastWireOptions& options, const Clock* clock) {
  auto wire = std::make_unique<FastWire>(options, clock);
  BATON_RETURN_IF_ERROR(wire->Start());
  return wire;
}

}  // namespace baton
