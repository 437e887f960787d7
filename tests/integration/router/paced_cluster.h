#pragma once

// Two routers over a prefill and two decode workers in this process, over real gRPC and ZeroMQ, with models
// made of hashes whose steps a test lets go one by one.

#include <array>
#include <memory>
#include <vector>

#include "absl/base/thread_annotations.h"
#include "absl/synchronization/mutex.h"
#include "services/worker/worker_server.h"
#include "tests/integration/router/router_fixture.h"

namespace baton::router::testing {

// Thread-safe.
class Pace {
 public:
  void Allow(int steps);
  void Open();  // all
  void Close();
  void AwaitStep();  // a few seconds at most

 private:
  absl::Mutex mutex_;
  int steps_ ABSL_GUARDED_BY(mutex_) = 0;
  bool open_ ABSL_GUARDED_BY(mutex_) = false;
};

class PacedCluster {
 public:
  PacedCluster();
  ~PacedCluster();
  uint16_t port(int router) const { return routers_[router]->port(); }
  // Of all workers together.
  uint64_t Resumed() const;
  uint64_t Superseded() const;
  // Waits until no worker has an open call, and all pages are free or cached.
  bool AtRest();

  Pace pace;

 private:
  void AddWorker(baton::WorkerRole role, int vocab);

  SteadyClock clock_;
  std::vector<std::unique_ptr<baton::Worker>> workers_;
  std::vector<std::unique_ptr<WorkerServer>> servers_;
  std::array<std::unique_ptr<Router>, 2> routers_;
};

}  // namespace baton::router::testing
