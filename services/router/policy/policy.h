#pragma once

// How streams are placed: a policy filters the ranks, scores what is left and picks (DESIGN section 4). A
// decision class: it holds no clock, lock, thread or source of chance of its own, so that the simulator
// (tools/sim) runs the very same one. Not thread-safe.
//
// Policies are made from text, a name and parameters: "cache_aware(threshold=0.5,abs=32,rel=1.1)"; see
// policy_spec.h for the text, policies/factory.h for the names.

#include <cstdint>
#include <memory>
#include <string>
#include <variant>

#include "absl/status/statusor.h"
#include "absl/time/time.h"
#include "absl/types/span.h"
#include "common/clock.h"
#include "common/keyed_random.h"
#include "services/router/policy/placement.h"

namespace baton::router {

// Chance with a seed: the same seed gives the same draws on every machine.
class PolicyRandom {
 public:
  explicit PolicyRandom(uint64_t seed) : seed_(seed) {}
  double Uniform() { return KeyedUniform(seed_, 0, draws_++); }  // in [0, 1)
  // In [0, count); count > 0.
  size_t Below(size_t count) { return static_cast<size_t>(Uniform() * static_cast<double>(count)); }

 private:
  const uint64_t seed_;
  uint64_t draws_ = 0;
};

// All that a policy may look at. What is spanned lives as long as the call.
struct PolicyInput {
  uint64_t stream = 0;  // names this placement in feedback; never given twice
  absl::Span<const RankView> ranks;
  // Tokens of the longest prefix of the prompt that each rank holds in its cache, in the order of `ranks`;
  // empty: no rank holds anything. Never more than the prompt.
  absl::Span<const uint32_t> held_tokens;
  // Blocks that each rank is known to hold in all, in the order of `ranks`; empty: none.
  absl::Span<const uint64_t> held_blocks;
  const PlacementRequest& request;
  MonoTime now{};

  uint32_t Held(size_t rank) const { return rank < held_tokens.size() ? held_tokens[rank] : 0; }
};

// Feedback, in the order of events of one stream. Every stream that was placed ends with Finished or Refused.
struct StreamPlaced {  // the placement is being carried out
  uint64_t stream = 0;
  Placement placement;
  MonoTime now{};
};
struct StreamFirstToken {
  uint64_t stream = 0;
  uint32_t cached_tokens = 0;  // of the prompt, as the rank that computed it says
  MonoTime now{};
};
struct StreamTokens {  // some tokens after the first, told of together
  uint64_t stream = 0;
  uint32_t tokens = 0;
  absl::Duration took;  // since the token before them
  MonoTime now{};
};
struct StreamFinished {
  uint64_t stream = 0;
  uint32_t tokens = 0;  // generated in all
  MonoTime now{};
};
struct StreamRefused {  // a rank refused it, or failed under it; what comes next is another placement
  uint64_t stream = 0;
  RankRef rank;
  MonoTime now{};
};
using PolicyFeedback =
    std::variant<StreamPlaced, StreamFirstToken, StreamTokens, StreamFinished, StreamRefused>;

class Policy {
 public:
  virtual ~Policy() = default;
  // Errors as of DecodeCandidates (filter.h). The ranks returned are among the input's.
  virtual absl::StatusOr<Placement> Place(const PolicyInput& input, PolicyRandom& random) = 0;
  // Policies that learn nothing ignore it.
  virtual void Learn(const PolicyFeedback& feedback) = 0;
  // The text that makes this policy again, with every parameter.
  virtual std::string Describe() const = 0;
};

}  // namespace baton::router
