#include "tests/sim/sim_transport.h"

#include <algorithm>
#include <utility>

#include "absl/strings/numbers.h"
#include "absl/strings/strip.h"
#include "services/kv_transfer/handoff/messages.h"

namespace baton::sim {
namespace {

const char* VerbName(const std::string& message) {
  v1::Handoff handoff;
  if (!handoff.ParseFromString(message) || handoff.verb_case() == v1::Handoff::VERB_NOT_SET)
    return "malformed";
  return v1::Handoff::descriptor()->FindFieldByNumber(handoff.verb_case())->name().c_str();
}

}  // namespace

SimTransport::SimTransport(TransportHub* hub, NodeId node, std::function<void()> wake)
    : hub_(hub), node_(node), endpoint_(TransportHub::EndpointOf(node)), wake_(std::move(wake)) {
  hub_->Attach(node_, this);
}

SimTransport::~SimTransport() {
  hub_->Detach(node_);
}

absl::StatusOr<RegionId> SimTransport::Register(absl::Span<std::byte> memory) {
  regions_.push_back(memory);
  return static_cast<RegionId>(regions_.size() - 1);
}

absl::StatusOr<PeerId> SimTransport::Connect(const std::string& endpoint, const std::string&) {
  NodeId node = 0;
  if (!absl::SimpleAtoi(absl::StripPrefix(endpoint, "sim:"), &node))
    return absl::InvalidArgumentError(endpoint);
  for (const auto& [id, peer] : peers_) {
    if (peer.ours && peer.node == node) return id;
  }
  return PeerOf(node, hub_->NextConnection(), /*ours=*/true);
}

PeerId SimTransport::PeerOf(NodeId node, uint64_t connection, bool ours) {
  for (const auto& [id, peer] : peers_) {
    if (peer.connection == connection) return id;
  }
  const PeerId id = next_peer_++;
  peers_[id] = Peer{node, connection, ours};
  return id;
}

void SimTransport::Disconnect(PeerId peer) {
  peers_.erase(peer);
  std::vector<uint64_t> tags;
  for (const auto& [tag, read] : reads_) {
    if (read.batch.peer == peer) tags.push_back(tag);
  }
  const bool fences = !hub_->network()->prng()->Chance(hub_->slow_fence_per_mille / 3);
  for (const uint64_t tag : tags) {
    Abort(tag);
    if (!fences) continue;
    hub_->network()->queue()->After(node_, hub_->network()->Delay(),
                                    [this, tag] { Complete(tag, absl::CancelledError("disconnected")); });
  }
}

bool SimTransport::Busy() {
  const bool busy = hub_->network()->prng()->Chance(hub_->busy_per_mille);
  if (busy) hub_->network()->coverage()->Hit("wire/busy");
  return busy;
}

WireResult SimTransport::Send(PeerId peer, absl::string_view message) {
  const auto it = peers_.find(peer);
  if (it == peers_.end()) return WireResult::kGone;
  if (Busy()) return WireResult::kBusy;
  const auto [node, connection, ours] = it->second;
  std::string text(message);
  const char* verb = VerbName(text);
  hub_->network()->trace()->Add(hub_->network()->queue()->now(), endpoint_, verb, "to ", node, ", ",
                                text.size());
  hub_->network()->Send(node_, node, verb, /*has_bytes=*/false,
                        [hub = hub_, from = node_, to = node, connection = connection, ours = ours,
                         text = std::move(text)](uint64_t) {
                          SimTransport* receiver = hub->At(to);
                          if (receiver != nullptr) receiver->ReceiveMessage(from, connection, !ours, text);
                        });
  return WireResult::kOk;
}

void SimTransport::ReceiveMessage(NodeId from, uint64_t connection, bool ours, const std::string& message) {
  PeerId peer = 0;
  for (const auto& [id, known] : peers_) {
    if (known.connection == connection) peer = id;
  }
  if (peer == 0 && ours) return;  // of a connection that a former life made
  if (peer == 0) peer = PeerOf(from, connection, /*ours=*/false);
  Push(Incoming{.kind = Incoming::Kind::kMessage, .from = peer, .text = message});
}

WireResult SimTransport::PostReads(ReadBatch batch) {
  const auto it = peers_.find(batch.peer);
  if (it == peers_.end()) return WireResult::kGone;
  if (Busy()) return WireResult::kBusy;
  const auto [node, connection, ours] = it->second;
  const uint64_t tag = batch.tag;
  std::string grant = batch.grant;
  reads_[tag] = Read{std::move(batch)};
  hub_->network()->trace()->Add(hub_->network()->queue()->now(), endpoint_, "read", "from ", node, " tag ",
                                tag);
  hub_->network()->Send(node_, node, "read", /*has_bytes=*/false,
                        [hub = hub_, from = node_, to = node, connection = connection, tag,
                         grant = std::move(grant)](uint64_t) {
                          SimTransport* owner = hub->At(to);
                          if (owner != nullptr) owner->ReceiveRead(from, connection, tag, grant);
                        });
  return WireResult::kOk;
}

void SimTransport::ReceiveRead(NodeId from, uint64_t connection, uint64_t tag, const std::string& grant) {
  const PeerId peer = PeerOf(from, connection, /*ours=*/false);
  Push(Incoming{.kind = Incoming::Kind::kRead, .from = peer, .text = grant, .tag = tag});
}

void SimTransport::AnswerRead(const Incoming& read, WireHandler* handler) {
  const auto ranges = handler->OnRead(read.from, read.text);
  const auto peer = peers_.find(read.from);
  if (peer == peers_.end()) return;
  std::string bytes;
  if (ranges.ok()) {
    for (const ByteRange& range : *ranges) {
      bytes.append(reinterpret_cast<const char*>(regions_[range.region].data()) + range.offset, range.length);
    }
  }
  hub_->network()->Send(
      node_, peer->second.node, "bytes", ranges.ok(),
      [hub = hub_, to = peer->second.node, connection = peer->second.connection, tag = read.tag,
       status = ranges.status(), bytes = std::move(bytes)](uint64_t corruption) {
        SimTransport* reader = hub->At(to);
        if (reader == nullptr) return;
        bool known = false;
        for (const auto& [id, p] : reader->peers_) known |= p.ours && p.connection == connection;
        if (!known) return;
        std::string copy = bytes;
        if (corruption != 0 && !copy.empty()) copy[corruption % copy.size()] ^= 1 << (corruption >> 61);
        reader->ReceiveBytes(tag, status, std::move(copy));
      });
}

void SimTransport::ReceiveBytes(uint64_t tag, const absl::Status& status, std::string bytes) {
  const auto it = reads_.find(tag);
  if (it == reads_.end() || it->second.landing) return;
  if (!status.ok()) return Complete(tag, absl::FailedPreconditionError(status.message()));
  it->second.landing = true;
  const size_t pieces = 1 + hub_->network()->prng()->Below(2);
  Land(tag, bytes, 0, pieces);
}

void SimTransport::Land(uint64_t tag, const std::string& bytes, size_t piece, size_t pieces) {
  const auto it = reads_.find(tag);
  if (it == reads_.end()) return;
  if (it->second.aborted) hub_->network()->coverage()->Hit("wire/bytes/landed after abort");
  const size_t begin = bytes.size() * piece / pieces, end = bytes.size() * (piece + 1) / pieces;
  size_t at = 0;
  for (const CopyOp& op : it->second.batch.ops) {
    const size_t first = std::max(begin, at), last = std::min(end, at + op.length);
    if (first < last) {
      std::copy_n(reinterpret_cast<const std::byte*>(bytes.data()) + first, last - first,
                  regions_[op.local_region].data() + op.local_offset + (first - at));
    }
    at += op.length;
  }
  if (piece + 1 == pieces) {
    if (!it->second.aborted) Complete(tag, absl::OkStatus());
    return;
  }
  hub_->network()->queue()->After(node_, hub_->network()->Delay(),
                                  [this, tag, bytes, piece, pieces] { Land(tag, bytes, piece + 1, pieces); });
}

void SimTransport::Abort(uint64_t tag) {
  const auto it = reads_.find(tag);
  if (it == reads_.end() || it->second.aborted) return;
  it->second.aborted = true;
  if (hub_->early_fence) {
    it->second.reported = true;
    Push(Incoming{.kind = Incoming::Kind::kDone, .tag = tag, .status = absl::CancelledError("aborted")});
  }
  absl::Duration fence = hub_->network()->Delay();
  if (hub_->network()->prng()->Chance(hub_->slow_fence_per_mille)) {
    fence += hub_->network()->prng()->Between(absl::Milliseconds(10), hub_->slow_fence);
    hub_->network()->coverage()->Hit("wire/slow fence");
  }
  hub_->network()->queue()->After(node_, fence,
                                  [this, tag] { Complete(tag, absl::CancelledError("aborted")); });
}

void SimTransport::Complete(uint64_t tag, absl::Status status) {
  const auto it = reads_.find(tag);
  if (it == reads_.end()) return;
  const bool reported = it->second.reported;
  reads_.erase(it);
  if (reported) return;
  Push(Incoming{.kind = Incoming::Kind::kDone, .tag = tag, .status = std::move(status)});
}

void SimTransport::Push(Incoming incoming) {
  inbox_.push_back(std::move(incoming));
  wake_();
}

void SimTransport::Poll(absl::Duration, WireHandler* handler) {
  for (size_t left = inbox_.size(); left > 0 && !inbox_.empty(); --left) {
    const Incoming incoming = std::move(inbox_.front());
    inbox_.pop_front();
    switch (incoming.kind) {
      case Incoming::Kind::kMessage:
        handler->OnMessage(incoming.from, incoming.text);
        break;
      case Incoming::Kind::kRead:
        AnswerRead(incoming, handler);
        break;
      case Incoming::Kind::kDone:
        handler->OnReadDone(incoming.tag, incoming.status);
        break;
    }
  }
}

}  // namespace baton::sim
