#pragma once

// Where a cluster runs and how its processes are struck. One implementation for local processes
// (local_driver.h), one for containers and Kubernetes by commands (remote_driver.h).

#include <functional>
#include <string>
#include <vector>

#include "absl/status/statusor.h"
#include "absl/time/time.h"
#include "tools/chaos/evidence.h"
#include "tools/chaos/network.h"

namespace baton::chaos {

struct DiskFault {
  double delay_ms = 0;  // of each read, write and sync
  bool full = false;
};

// Thread-safe after Start. What a driver cannot do is UNIMPLEMENTED, with the reason.
class Driver {
 public:
  virtual ~Driver() = default;  // stops what runs, and undoes everything

  // Starts the cluster, or finds it, and returns when a real request has succeeded. `doing` is told what is
  // waited for, now and then. CANCELLED if `given_up` says so.
  virtual absl::Status Start(const std::function<void(const std::string&)>& doing,
                             const std::function<bool()>& given_up) = 0;
  virtual absl::Status Stop() = 0;

  virtual std::string url() const = 0;  // of the router: "http://127.0.0.1:8000"
  virtual std::vector<ProcessView> Processes() = 0;
  // The body of GET `path` from the process, for instance its /metrics.
  virtual absl::StatusOr<std::string> Get(const std::string& process, const std::string& path) = 0;

  virtual absl::Status Signal(const std::string& process, int signal) = 0;
  // Ends it by `signal`, and starts it again so long after its end (infinite: never). `kill_after`: how long
  // it may take to end, then it is killed (infinite: as long as it likes).
  virtual absl::Status End(const std::string& process, int signal, absl::Duration restart_after,
                           absl::Duration kill_after) = 0;
  // All the faults of the network that shall hold from here on.
  virtual absl::Status SetNetwork(const std::vector<NetworkFault>& faults) = 0;
  // Of the disk tier of `process`; {}: well again.
  virtual absl::Status SetDisk(const std::string& process, const DiskFault& fault) = 0;
};

}  // namespace baton::chaos
