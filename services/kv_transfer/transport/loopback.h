#pragma once

// A wire in memory, for tests: every transport of a LoopbackNetwork can reach every other by its endpoint,
// and a hook decides the fate of each frame. Owner-served, as ZeroMQ is. With a hand-turned clock, one thread
// and Poll(0) it is deterministic.

#include <functional>
#include <map>
#include <memory>
#include <set>
#include <string>

#include "absl/base/thread_annotations.h"
#include "absl/synchronization/mutex.h"
#include "common/clock.h"
#include "services/kv_transfer/transport/regions.h"
#include "services/kv_transfer/transport/transport.h"

namespace baton {

struct LoopbackFrame {
  enum class Kind { kMessage, kRead, kData, kRefused };
  Kind kind = Kind::kMessage;
  std::string from, to;   // endpoints
  PeerId connection = 0;  // the connecting side's id of it
  bool from_connector = true;
  uint64_t tag = 0;
  std::string bytes;
};

// What happens to a frame.
struct LoopbackFault {
  int copies = 1;        // 0: lost
  absl::Duration delay;  // frames overtake each other by their delays
  bool corrupt = false;  // one byte in the middle is changed
};
using LoopbackFaultHook =
    std::function<LoopbackFault(const LoopbackFrame&)>;  // called under a lock: must not call back

struct LoopbackOptions {
  LoopbackFaultHook hook;    // none: perfect
  bool lazy_abort = false;   // an aborted read completes only when its bytes land, or at Disconnect
  size_t max_frames = 8192;  // waiting at one endpoint; more is kBusy
};

// Thread-safe. Outlives its transports, and `clock` outlives both.
class LoopbackNetwork {
 public:
  LoopbackNetwork(LoopbackOptions options, const Clock* clock)
      : options_(std::move(options)), clock_(clock) {}
  // A given endpoint must not be in use: a process that restarts at its old address.
  std::unique_ptr<Transport> NewTransport(std::string endpoint = "");
  // The earliest due time of a waiting frame.
  MonoTime NextDue() const;

 private:
  friend class LoopbackTransport;
  using Inbox = std::multimap<MonoTime, LoopbackFrame>;

  WireResult Deliver(const LoopbackFrame& frame);
  std::vector<LoopbackFrame> Take(const std::string& endpoint, absl::Duration timeout, size_t most);
  void Wake(const std::string& endpoint);
  void Close(const std::string& endpoint);

  const LoopbackOptions options_;
  const Clock* const clock_;
  mutable absl::Mutex mutex_;
  absl::CondVar arrived_;
  int last_endpoint_ ABSL_GUARDED_BY(mutex_) = 0;
  std::map<std::string, Inbox> inboxes_ ABSL_GUARDED_BY(mutex_);
  std::set<std::string> woken_ ABSL_GUARDED_BY(mutex_);
};

}  // namespace baton
