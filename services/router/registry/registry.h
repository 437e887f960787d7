#pragma once

// The cluster as this router knows it: watches every worker, places streams, holds this router's own load.
// Thread-safe: one mutex around the worker table, held for the length of a decision and never while calling
// out.
//
// Threads: gRPC's deliver Watch events; one thread of the registry's own reconnects (with backoff) and
// notices silence.

#include <cstdint>
#include <memory>
#include <optional>
#include <string>
#include <utility>
#include <vector>

#include "absl/status/statusor.h"
#include "absl/time/time.h"
#include "common/clock.h"
#include "services/router/policy/placement.h"
#include "services/router/policy/worker_table.h"
#include "services/router/rpc/worker_calls.h"

namespace baton::router {

struct RegistryConfig {
  PlacementConfig placement;
  WorkerTableConfig table;
  absl::Duration reconnect_min = absl::Milliseconds(100);
  absl::Duration reconnect_max = absl::Seconds(5);
};

class Registry;

// This router's load on one rank, given back when dropped. Move-only. Must not outlive the registry.
class RankCharge {
 public:
  RankCharge() = default;
  RankCharge(Registry* registry, RankRef ref, uint64_t tokens)
      : registry_(registry), ref_(ref), tokens_(tokens) {}
  RankCharge(RankCharge&& other) noexcept { *this = std::move(other); }
  RankCharge& operator=(RankCharge&& other) noexcept;
  ~RankCharge() { Release(); }
  void TokensComputed();  // the prompt is done: only the sequence still counts
  void Release();

 private:
  Registry* registry_ = nullptr;
  RankRef ref_;
  uint64_t tokens_ = 0;
};

struct PlacedRank {
  RankRef ref;
  std::string endpoint;
  std::string worker_name;
  KvEndpoint kv;
  RankCharge charge;
};

struct PlacedStream {
  Placement placement;
  PlacedRank decode;
  std::optional<PlacedRank> prefill;
  std::string fingerprint;
};

struct Bystander {
  std::string endpoint;
  Epoch epoch;
};

class Registry {
 public:
  Registry(const RegistryConfig& config, WorkerCalls& calls, const Clock& clock);
  ~Registry();

  // Watches exactly these from now on.
  void SetEndpoints(const std::vector<std::string>& endpoints);
  absl::StatusOr<PlacedStream> Place(const PlacementRequest& request);
  // A place for a stream that moves to `target`, charged for `tokens` to compute. FailedPrecondition, in
  // words, unless it is a healthy decode rank that does not drain and has this fingerprint.
  absl::StatusOr<PlacedRank> PlaceAt(RankRef target, const std::string& fingerprint, uint64_t tokens);
  // A worker other than `worker`, each in turn: for what must not be lost with that one.
  std::optional<Bystander> Other(uint64_t worker);
  bool CanDecode() const;
  // The smallest context that any usable decode worker announces; 0 if none does.
  uint64_t MaxContext() const;
  std::vector<std::pair<std::string, WorkerState>> Workers() const;
  std::vector<RankView> Ranks() const;

 private:
  friend class RankCharge;
  struct Impl;
  const std::shared_ptr<Impl> impl_;
};

}  // namespace baton::router
