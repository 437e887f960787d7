#include "services/kv_transfer/transport/zmq_link.h"

#include <utility>

#include "common/status_macros.h"

namespace baton {
namespace {

constexpr absl::Duration kRetryRefused = absl::Milliseconds(250);

}  // namespace

absl::StatusOr<ZmqLink> ZmqLink::Open(void* context, const ZmqOptions& options, const std::string& endpoint,
                                      const std::string& server_key, const CurvePair& ours, MonoTime now) {
  BATON_ASSIGN_OR_RETURN(ZmqSocket socket, ZmqSocket::Dealer(context, options, endpoint, server_key, ours));
  BATON_ASSIGN_OR_RETURN(ZmqMonitor monitor, ZmqMonitor::Attach(context, socket.raw()));
  BATON_RETURN_IF_ERROR(socket.Connect(endpoint));
  ZmqLink link(endpoint, server_key, options.gone_after, std::move(socket), std::move(monitor));
  link.gone_at_ = now + options.connect_within;
  link.why_ = "it could not be reached";
  return link;
}

ZmqLink::Change ZmqLink::Look(MonoTime now) {
  while (const auto event = monitor_.Next()) {
    switch (event->what) {
      case ZmqMonitor::What::kHandshaken:
        up_ = true;
        gone_at_ = absl::InfiniteFuture();
        if (std::exchange(was_up_, true)) return Change::kBack;
        break;
      case ZmqMonitor::What::kDisconnected:
        if (!std::exchange(up_, false)) break;  // while shaking hands
        gone_at_ = now + gone_after_;
        why_ = "its connection broke";
        return Change::kBroken;
      case ZmqMonitor::What::kRefused:
        why_ = "it does not let our key in";
        retry_at_ = now + kRetryRefused;
        break;
      case ZmqMonitor::What::kNotOurs:
        why_ = "it has another key, or is no handoff endpoint";
        break;
      case ZmqMonitor::What::kAttemptFailed:
        why_ = "nobody is reached at its endpoint";
        break;
      default:
        break;
    }
  }
  return Change::kNone;
}

bool ZmqLink::RetryDue(MonoTime now) {
  if (now < retry_at_) return false;
  retry_at_ = absl::InfiniteFuture();
  return true;
}

bool ZmqLink::Gone(MonoTime now) {
  if (now < gone_at_) return false;
  gone_at_ = absl::InfiniteFuture();
  return true;
}

}  // namespace baton
