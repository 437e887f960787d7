#pragma once

// The cluster as this router knows it: watches every worker, places streams, holds this router's own load.
// Thread-safe: one mutex around the worker table and the policy, held for the length of a decision and never
// while calling out; prompts are hashed and looked up before it is taken.
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
#include "services/router/policy/policy.h"
#include "services/router/policy/worker_table.h"
#include "services/router/registry/prefix_board.h"
#include "services/router/registry/stream_feedback.h"
#include "services/router/rpc/worker_calls.h"

namespace baton::router {

struct RegistryConfig {
  PlacementConfig placement;
  uint64_t seed = 0;  // of the policy's chance
  // Of requests that name none.
  absl::Duration ttft_slo = absl::InfiniteDuration();
  absl::Duration itl_slo = absl::InfiniteDuration();
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
  StreamFeedback feedback;
};

// What placements found of their prompts' prefixes, in tokens, since start.
struct PlacementCounts {
  uint64_t placed = 0;
  uint64_t prompt_tokens = 0;
  uint64_t held_tokens = 0;       // by the ranks that were to compute them
  uint64_t best_held_tokens = 0;  // by any rank that might have
};

struct PlacementStatus {
  std::string policy;
  PlacementCounts counts;
  PrefixCounts prefixes;
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
  // A place for `tokens`, of which there are request.prompt_tokens. How long answers are is learnt from those
  // that finished.
  absl::StatusOr<PlacedStream> Place(const PlacementRequest& request, const Id128& salt,
                                     absl::Span<const TokenId> tokens);
  // A place for a stream that moves to `target`, charged for `tokens` to compute. FailedPrecondition, in
  // words, unless it is a healthy decode rank that does not drain and has this fingerprint.
  absl::StatusOr<PlacedRank> PlaceAt(RankRef target, const std::string& fingerprint, uint64_t tokens);
  // A worker other than `worker`, each in turn: for what must not be lost with that one.
  std::optional<Bystander> Other(uint64_t worker);
  // Places by another policy from now on (policy/policies/factory.h); by kDefaultPolicy before.
  // InvalidArgument: the text is none, and all is as it was.
  absl::Status SetPolicy(const std::string& text);
  void Learn(const PolicyFeedback& feedback);
  PlacementStatus placement() const;
  MonoTime Now() const;
  // What became of a call to a worker: refused or broken; accepted, or it brought something.
  void CallFailed(uint64_t worker);
  void CallWorked(uint64_t worker);
  // Silent workers that have streams of this router which some other rank could go on with.
  std::vector<uint64_t> SilentWithStreams() const;
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
