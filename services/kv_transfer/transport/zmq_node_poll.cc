#include <algorithm>
#include <utility>

#include "services/kv_transfer/transport/byte_path.h"
#include "services/kv_transfer/transport/zmq_node.h"

namespace baton {
namespace {

constexpr int kFramesPerSocket = 64;  // in one Poll

}  // namespace

void ZmqNode::Poll(absl::Duration timeout, WireHandler* handler) {
  timeout = std::min(timeout, ServeTimers(handler));
  if (!done_.empty()) timeout = absl::ZeroDuration();
  ReportDone(handler);
  const uint64_t before = taken_;
  DrainAll(watch_.TakeTouched(), handler);
  if (taken_ != before || !done_.empty()) timeout = absl::ZeroDuration();
  DrainAll(watch_.Wait(timeout), handler);
  ReportDone(handler);
}

void ZmqNode::DrainAll(const std::vector<ZmqWatch::Source>& sources, WireHandler* handler) {
  for (const ZmqWatch::Source& source : sources) {
    if (watch_.Has(source) && !Drain(source, handler)) watch_.Touch(source.fd);
  }
}

bool ZmqNode::Drain(const ZmqWatch::Source& source, WireHandler* handler) {
  switch (source.what) {
    case ZmqWatch::What::kWake:
      wake_.Drain();
      return true;
    case ZmqWatch::What::kOutside:
      return true;
    case ZmqWatch::What::kHandshakes:
      return gate_->Serve(handler);
    case ZmqWatch::What::kGuests:
      WatchGuests(handler);
      return true;
    case ZmqWatch::What::kRouter:
      WatchGuests(handler);  // a connection is known before what comes over it
      return DrainRouter(handler);
    case ZmqWatch::What::kDealer:
      return DrainDealer(source.peer, handler);
    case ZmqWatch::What::kLink:
      WatchDealer(source.peer, handler);
      return true;
  }
  return true;
}

void ZmqNode::WatchGuests(WireHandler* handler) {
  while (const auto event = router_monitor_->Next()) {
    ++taken_;
    if (event->what == ZmqMonitor::What::kAccepted) guests_.OnAccepted(event->value);
    if (event->what == ZmqMonitor::What::kDisconnected) guests_.OnClosed(event->value);
    if (event->what == ZmqMonitor::What::kNotOurs)
      handler->OnDenied("a connection that proves no key, or went while it should");
  }
}

void ZmqNode::WatchDealer(PeerId peer, WireHandler* handler) {
  for (auto change = ZmqLink::Change::kBroken; change != ZmqLink::Change::kNone;) {
    auto dealer = dealers_.find(peer);
    if (dealer == dealers_.end()) return;
    change = dealer->second.link.Look(clock_.Now());
    if (change != ZmqLink::Change::kNone) ++taken_;
    if (change == ZmqLink::Change::kBroken) EndReads(peer, absl::UnavailableError("the connection broke"));
    if (change == ZmqLink::Change::kBack) handler->OnPeerChange(peer, PeerChange::kBack, "");
  }
}

bool ZmqNode::DrainRouter(WireHandler* handler) {
  for (int i = 0; i < kFramesPerSocket; ++i) {
    ZmqFrame frame;
    const ZmqSocket::Received received = router_->Receive(&frame);
    if (received == ZmqSocket::Received::kNothing) return true;
    ++taken_;
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
  return false;
}

bool ZmqNode::DrainDealer(PeerId peer, WireHandler* handler) {
  for (int i = 0; i < kFramesPerSocket; ++i) {
    auto dealer = dealers_.find(peer);
    if (dealer == dealers_.end()) return true;
    ZmqFrame frame;
    const ZmqSocket::Received received = dealer->second.link.socket().Receive(&frame);
    if (received == ZmqSocket::Received::kNothing) return true;
    ++taken_;
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
  return false;
}

void ZmqNode::Serve(PeerId from, ZmqFrame& frame, WireHandler* handler) {
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

void ZmqNode::Land(PeerId from, ZmqFrame& frame) {
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

void ZmqNode::ReportDone(WireHandler* handler) {
  while (!done_.empty()) {
    auto [tag, status] = std::move(done_.front());
    done_.pop_front();
    handler->OnReadDone(tag, std::move(status));
  }
}

}  // namespace baton
