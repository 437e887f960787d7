#pragma once

// What this router knows of every worker: the last Watch report of each, its health, and this router's own
// load on each rank, which counts at once. A decision class: the registry feeds it, placement reads its
// views. Not thread-safe.
//
// An endpoint is an address to watch; a worker is one life (epoch) of the process behind it. A report of a
// new epoch makes a new worker number; streams of the old one are over.

#include <cstdint>
#include <map>
#include <string>
#include <vector>

#include "absl/container/flat_hash_map.h"
#include "absl/status/status.h"
#include "absl/strings/string_view.h"
#include "absl/time/time.h"
#include "absl/types/span.h"
#include "common/clock.h"
#include "common/ids.h"
#include "services/router/policy/placement.h"
#include "services/router/policy/prefix_change.h"
#include "services/router/policy/worker_health.h"

namespace baton::router {

struct PageClasses {
  uint64_t free = 0, used = 0, cached = 0, pinned = 0, pulling = 0, quarantined = 0;
  uint64_t total() const { return free + used + cached + pinned + pulling + quarantined; }
};

struct RankReport {
  uint32_t rank = 0;
  uint64_t running = 0;
  uint64_t waiting = 0;
  uint64_t backlog_tokens = 0;
  PageClasses pages;
  uint64_t context_tokens = 0;  // of all running sequences
};

// Where a reader finds the KV of a worker (proto KvSource without the rank).
struct KvEndpoint {
  std::string address;
  std::string curve_public_key;
  Epoch epoch;
};

struct WorkerFacts {  // constant for an epoch
  std::string name;
  std::string model;
  std::string fingerprint;
  KvEndpoint kv;
  uint32_t page_tokens = 0;
  uint64_t max_context = 0;
  bool accepts_inexact = false;   // KV of other fingerprints
  std::string model_id;           // what its KV means
  bool publishes_blocks = false;  // tells of its prefix cache
};

// One Watch event as plain data.
struct WorkerReport {
  Epoch epoch;
  uint64_t number = 0;  // 0: a snapshot, which carries `facts`
  WorkerFacts facts;
  WorkerRole role = WorkerRole::kUnknown;
  bool draining = false;
  bool healthy = true;
  std::vector<RankReport> ranks;       // of a snapshot: all; of a delta: those that changed
  std::vector<PrefixChange> blocks{};  // for the prefix index; the table does not look at it
};

struct WorkerState {
  uint64_t worker = 0;  // 0: no snapshot seen yet
  Epoch epoch;
  WorkerFacts facts;
  WorkerRole role = WorkerRole::kUnknown;
  bool draining = false;
  bool healthy = false;    // says the worker
  bool connected = false;  // a Watch call is delivering
  bool silent = false;     // no report for longer than the silence timeout
  WorkerHealth calls;      // what becomes of calls to it
  bool failing = false;    // as those say
  uint64_t last_number = 0;
  MonoTime last_report = absl::InfinitePast();
  std::vector<RankReport> ranks;

  bool Usable() const { return worker != 0 && connected && healthy; }
};

struct WorkerTableConfig {
  absl::Duration silence_timeout = absl::Seconds(1);
  WorkerHealthConfig health;
};

class WorkerTable {
 public:
  explicit WorkerTable(const WorkerTableConfig& config) : config_(config) {}

  void AddEndpoint(const std::string& endpoint);  // again: nothing happens
  void RemoveEndpoint(const std::string& endpoint);
  // FailedPrecondition: a gap, a reordering or an epoch change without a snapshot; watch again to get one.
  absl::Status Report(const std::string& endpoint, const WorkerReport& report, MonoTime now);
  void Disconnected(const std::string& endpoint);
  // Marks silent workers as suspect; true if any became so.
  bool Tick(MonoTime now);
  // A call to the worker was refused or broke; was accepted or brought something; is about to be made.
  void CallFailed(uint64_t worker, MonoTime now);
  void CallWorked(uint64_t worker);
  void Placed(uint64_t worker, MonoTime now);
  // Workers that have fallen silent and have streams of this router, if some other rank could go on with
  // them.
  std::vector<uint64_t> SilentWithStreams() const;

  // Valid until the next non-const call. Their order is the same as long as membership() is.
  absl::Span<const RankView> Ranks() const { return views_; }
  uint64_t membership() const { return membership_; }
  uint64_t newest_worker() const { return next_worker_ - 1; }  // numbers only grow
  // By worker number; nullptr if that life is over or was never seen. Valid until the next non-const call.
  const WorkerState* Find(uint64_t worker) const;
  // The endpoint of a worker number; empty if unknown.
  std::string EndpointOf(uint64_t worker) const;
  const std::map<std::string, WorkerState>& endpoints() const { return endpoints_; }
  bool CanDecode() const;  // some usable, undrained decode rank exists

  // This router's own load. Every Charge is taken back by one Discharge of the same amounts (or less at a
  // time).
  void Charge(RankRef ref, uint64_t streams, uint64_t tokens, uint64_t context_tokens = 0);
  void Discharge(RankRef ref, uint64_t streams, uint64_t tokens);

 private:
  struct OwnLoad {
    uint64_t streams = 0, tokens = 0, fresh_streams = 0, fresh_tokens = 0, fresh_context = 0, placed = 0;
  };
  void EndLife(uint64_t worker);
  WorkerState* Known(uint64_t worker);
  void Judge(WorkerState& state, MonoTime now);
  // The views follow: of one worker, of all after ranks came or went, of this router's own load.
  void Show(const WorkerState& state);
  void ShowAll();
  void ShowOwn(RankRef ref);
  const WorkerTableConfig config_;
  uint64_t next_worker_ = 1;
  std::map<std::string, WorkerState> endpoints_;
  absl::flat_hash_map<uint64_t, std::string> endpoint_of_;
  std::map<RankRef, OwnLoad> own_;
  std::vector<RankView> views_;
  std::map<RankRef, size_t> view_of_;
  uint64_t membership_ = 0;
};

}  // namespace baton::router
