#include "services/kv_transfer/transport/zmq_wire.h"

#include <spdlog/spdlog.h>
#include <zmq.h>

#include <algorithm>
#include <utility>
#include <vector>

#include "absl/strings/str_cat.h"
#include "common/status_macros.h"
#include "services/kv_transfer/transport/zmq_node.h"

namespace baton {
namespace {

// "tcp://host:port" as bound, with the host that peers should use.
std::string Advertised(const std::string& bound, const std::string& host) {
  const size_t colon = bound.rfind(':');
  if (host.empty() || colon == std::string::npos) return bound;
  const bool bare_ipv6 = host.find(':') != std::string::npos && host.front() != '[';
  return absl::StrCat("tcp://", bare_ipv6 ? absl::StrCat("[", host, "]") : host, bound.substr(colon));
}

}  // namespace

absl::Status ZmqNode::Start() {
  if (wake_.fd() < 0 || !watch_.ok()) return absl::UnavailableError("no eventfd, or no epoll");
  BATON_ASSIGN_OR_RETURN(gate_, ZmqGate::Open(context_.get(), options_, clock_.Now()));
  BATON_ASSIGN_OR_RETURN(router_, ZmqSocket::Router(context_.get(), options_));
  BATON_ASSIGN_OR_RETURN(router_monitor_, ZmqMonitor::Attach(context_.get(), router_->raw()));
  BATON_RETURN_IF_ERROR(router_->Bind(options_.bind));
  endpoint_ = Advertised(router_->LastEndpoint(), options_.advertise_host);
  using enum ZmqWatch::What;
  watch_.AddPlain(wake_.fd(), kWake);
  if (options_.watch_fd >= 0) watch_.AddPlain(options_.watch_fd, kOutside);
  if (gate_->raw() != nullptr) watch_.AddSocket(gate_->raw(), kHandshakes);
  watch_.AddSocket(router_monitor_->raw(), kGuests);
  router_fd_ = watch_.AddSocket(router_->raw(), kRouter);
  if (!gate_->guarded()) {
    spdlog::warn(
        "handoff: whoever reaches {} may open handoffs there{}: --kv_key and --kv_allowed_keys "
        "restrict it (./baton keys --help)",
        endpoint_, options_.curve_secret_key.empty() ? ", and nothing is encrypted" : "");
  }
  return absl::OkStatus();
}

absl::StatusOr<PeerId> ZmqNode::Connect(const std::string& endpoint, const std::string& public_key) {
  BATON_ASSIGN_OR_RETURN(const std::string server_key, gate_->ServerKey(public_key));
  for (auto& [id, dealer] : dealers_) {
    if (dealer.link.endpoint() != endpoint || dealer.link.server_key() != server_key) continue;
    dealer.public_key = public_key;
    return id;
  }
  if (dealers_.size() >= options_.max_peers) return absl::ResourceExhaustedError("too many peers");
  BATON_ASSIGN_OR_RETURN(ZmqLink link, ZmqLink::Open(context_.get(), options_, endpoint, server_key,
                                                     gate_->Ours(), clock_.Now()));
  ++last_peer_;
  Follow(last_peer_, dealers_.emplace(last_peer_, Dealer{std::move(link), public_key}).first->second);
  return last_peer_;
}

void ZmqNode::Follow(PeerId peer, Dealer& dealer) {
  dealer.socket_fd = watch_.AddSocket(dealer.link.socket().raw(), ZmqWatch::What::kDealer, peer);
  dealer.monitor_fd = watch_.AddSocket(dealer.link.monitor(), ZmqWatch::What::kLink, peer);
}

void ZmqNode::Unfollow(const Dealer& dealer) {
  watch_.Remove(dealer.socket_fd);
  watch_.Remove(dealer.monitor_fd);
}

void ZmqNode::EndReads(PeerId peer, const absl::Status& status) {
  for (auto it = reads_.begin(); it != reads_.end();) {
    if (it->second.peer != peer) {
      ++it;
      continue;
    }
    done_.emplace_back(it->first, status);
    it = reads_.erase(it);
  }
}

void ZmqNode::Disconnect(PeerId peer) {
  if (const auto dealer = dealers_.find(peer); dealer != dealers_.end()) {
    Unfollow(dealer->second);
    dealers_.erase(dealer);
  }
  guests_.Forget(peer);
  EndReads(peer, absl::CancelledError("disconnected"));
}

WireResult ZmqNode::SendFrame(PeerId peer, ZmqFrameKind kind, uint64_t tag, ZmqBytes payload) {
  if (auto dealer = dealers_.find(peer); dealer != dealers_.end()) {
    watch_.Touch(dealer->second.socket_fd);
    return dealer->second.link.socket().Send("", kind, tag, std::move(payload));
  }
  const std::string* identity = guests_.IdentityOf(peer);
  if (identity == nullptr) return WireResult::kGone;
  watch_.Touch(router_fd_);
  const WireResult result = router_->Send(*identity, kind, tag, std::move(payload));
  if (result == WireResult::kGone) guests_.Forget(peer);
  return result;
}

WireResult ZmqNode::PostReads(ReadBatch batch) {
  const WireResult result = SendFrame(batch.peer, ZmqFrameKind::kRead, batch.tag, ZmqBytes(batch.grant));
  if (result == WireResult::kOk) {
    const uint64_t tag = batch.tag;
    reads_[tag] = std::move(batch);
  }
  return result;
}

absl::Duration ZmqNode::ServeTimers(WireHandler* handler) {
  const MonoTime now = clock_.Now();
  if (const auto change = gate_->Look(now); change.own || change.allowed) OnKeysChanged(change, handler);
  MonoTime next = gate_->next_look();
  std::vector<std::pair<PeerId, std::string>> gone;
  for (auto& [peer, dealer] : dealers_) {
    if (dealer.link.Gone(now)) gone.emplace_back(peer, dealer.link.why());
    if (dealer.link.gone_at() == absl::InfiniteFuture()) continue;
    if (dealer.link.RetryDue(now)) Retry(peer, dealer);
    next = std::min({next, dealer.link.gone_at(), dealer.link.retry_at()});
  }
  for (const auto& [peer, why] : gone) handler->OnPeerChange(peer, PeerChange::kGone, why);
  return next - now;
}

void ZmqNode::OnKeysChanged(WatchedKeys::Change change, WireHandler* handler) {
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
void ZmqNode::ProveAnew(PeerId peer, Dealer& dealer) {
  auto link = ZmqLink::Open(context_.get(), options_, dealer.link.endpoint(), dealer.link.server_key(),
                            gate_->Ours(), clock_.Now());
  if (!link.ok()) return;
  Unfollow(dealer);
  std::swap(dealer.link, *link);
  Follow(peer, dealer);
  dealer.link.SayWhenBack();
  EndReads(peer, absl::UnavailableError("connected anew"));
}

void ZmqNode::Retry(PeerId peer, Dealer& dealer) {
  auto link = ZmqLink::Open(context_.get(), options_, dealer.link.endpoint(), dealer.link.server_key(),
                            gate_->Ours(), clock_.Now());
  if (!link.ok()) return;
  link->TakeOver(dealer.link);
  Unfollow(dealer);
  std::swap(dealer.link, *link);
  Follow(peer, dealer);
}

absl::StatusOr<std::unique_ptr<Transport>> NewZmqTransport(const ZmqOptions& options) {
  std::unique_ptr<void, ZmqContextCloser> context(zmq_ctx_new());
  if (context == nullptr) return absl::UnavailableError("ZeroMQ: no context");
  zmq_ctx_set(context.get(), ZMQ_IO_THREADS, options.io_threads);
  zmq_ctx_set(context.get(), ZMQ_MAX_SOCKETS, static_cast<int>(3 * options.max_peers + 16));
  auto wire = std::make_unique<ZmqNode>(options, context.release());
  BATON_RETURN_IF_ERROR(wire->Start());
  return wire;
}

}  // namespace baton
