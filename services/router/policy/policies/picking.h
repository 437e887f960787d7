#pragma once

// A policy whose choices need no feedback, as the function that makes them.

#include <functional>
#include <string>
#include <utility>

#include "services/router/policy/filter.h"
#include "services/router/policy/policy.h"

namespace baton::router {

// Picks one of `candidates` (never none), which are indices into input.ranks, and sets its score.
using PickFunction =
    std::function<uint32_t(WorkerRole role, const PolicyInput& input, absl::Span<const uint32_t> candidates,
                           PolicyRandom& random, double* score)>;

class PickingPolicy final : public Policy {
 public:
  PickingPolicy(const PlacementConfig& config, std::string text, PickFunction pick)
      : config_(config), text_(std::move(text)), pick_(std::move(pick)) {}
  absl::StatusOr<Placement> Place(const PolicyInput& input, PolicyRandom& random) override;
  void Learn(const PolicyFeedback&) override {}
  std::string Describe() const override { return text_; }

 private:
  const PlacementConfig config_;
  const std::string text_;
  const PickFunction pick_;
};

// The candidate of the lowest score; of equals the least loaded.
uint32_t LowestScore(WorkerRole role, const PolicyInput& input, absl::Span<const uint32_t> candidates,
                     absl::FunctionRef<double(uint32_t rank)> score_of, double* score);

}  // namespace baton::router
