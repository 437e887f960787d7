#include "services/worker/pool_planner.h"

#include <algorithm>
#include <cmath>
#include <limits>

namespace baton {
namespace {

constexpr double kMiB = 1 << 20;
constexpr double kFade = 0.9;
// What is believed before anything was measured, as two faint measurements: 10 ms, and 1 GiB/s on top.
constexpr double kPriorWeight = 0.05;
constexpr double kPriorMu = 0.010;
constexpr double kPriorMiB = 64, kPriorSlope = 1.0 / 1024;
constexpr int64_t kFewestTokens = 32;  // from which a rate is taken
constexpr double kRateShare = 0.3;     // of the newest measurement
constexpr absl::Duration kShortestPatience = absl::Milliseconds(500);
constexpr absl::Duration kLongestPatience = absl::Seconds(10);

}  // namespace

TransferCostModel::Line TransferCostModel::Fit() const {
  const double w = w_ + 2 * kPriorWeight;
  const double x = wx_ + kPriorWeight * kPriorMiB;
  const double y = wy_ + kPriorWeight * (2 * kPriorMu + kPriorSlope * kPriorMiB);
  const double xx = wxx_ + kPriorWeight * kPriorMiB * kPriorMiB;
  const double xy = wxy_ + kPriorWeight * kPriorMiB * (kPriorMu + kPriorSlope * kPriorMiB);
  const double spread = w * xx - x * x;
  Line line{.slope = spread > 0 ? (w * xy - x * y) / spread : 0, .intercept = 0};
  if (line.slope <= 0) line.slope = 1e-7;
  line.intercept = (y - line.slope * x) / w;
  if (line.intercept < 0) line = {.slope = y / x, .intercept = 0};
  return line;
}

absl::Duration TransferCostModel::Transfer(int64_t bytes) const {
  const Line line = Fit();
  return absl::Seconds(line.intercept + line.slope * static_cast<double>(bytes) / kMiB);
}

absl::Duration TransferCostModel::Recompute(int64_t tokens) const {
  return absl::Seconds(static_cast<double>(tokens) / rate_);
}

void TransferCostModel::Moved(int64_t bytes, absl::Duration took) {
  const double x = static_cast<double>(bytes) / kMiB, y = absl::ToDoubleSeconds(took);
  w_ = w_ * kFade + 1;
  wx_ = wx_ * kFade + x;
  wy_ = wy_ * kFade + y;
  wxx_ = wxx_ * kFade + x * x;
  wxy_ = wxy_ * kFade + x * y;
}

void TransferCostModel::Computed(int64_t tokens, absl::Duration took) {
  if (tokens < kFewestTokens || took <= absl::ZeroDuration()) return;
  const double rate = static_cast<double>(tokens) / absl::ToDoubleSeconds(took);
  rate_ = rate_known_ ? rate_ + kRateShare * (rate - rate_) : rate;
  rate_known_ = true;
}

double TransferCostModel::bytes_per_second() const {
  return kMiB / Fit().slope;
}

absl::Duration TransferCostModel::mu() const {
  return absl::Seconds(Fit().intercept);
}

size_t RecentBlocks::Leading(absl::Span<const BlockHash> blocks) const {
  size_t n = 0;
  while (n < blocks.size() && places_.contains(blocks[n])) ++n;
  return n;
}

// The last first: leaves are forgotten first, as they are evicted.
void RecentBlocks::Use(absl::Span<const BlockHash> blocks) {
  for (size_t i = blocks.size(); i-- > 0;) {
    const auto it = places_.find(blocks[i]);
    if (it != places_.end()) {
      order_.splice(order_.begin(), order_, it->second);
    } else {
      order_.push_front(blocks[i]);
      places_[blocks[i]] = order_.begin();
    }
  }
  while (static_cast<int64_t>(order_.size()) > capacity_) {
    places_.erase(order_.back());
    order_.pop_back();
  }
}

PoolPlanner::PoolPlanner(const PoolPlannerOptions& options)
    : options_(options), recent_(options.ranks, RecentBlocks(options.cache_blocks)) {}

uint32_t PoolPlanner::LeastBlocks() const {
  const double computing = static_cast<double>(options_.block_tokens) / model_.tokens_per_second();
  const double moving = static_cast<double>(options_.block_bytes) / model_.bytes_per_second();
  const double blocks = absl::ToDoubleSeconds(model_.mu()) / (computing - moving);
  if (computing <= moving || blocks > 1e9) return std::numeric_limits<uint32_t>::max();
  return std::max<uint32_t>(1, static_cast<uint32_t>(std::ceil(blocks)));
}

PoolPlanner::Plan PoolPlanner::Decide(uint32_t rank, absl::Span<const BlockHash> blocks) {
  Plan plan{.rank = rank, .least = LeastBlocks()};
  if (rank >= recent_.size()) return plan;
  plan.skip = static_cast<uint32_t>(recent_[rank].Leading(blocks));
  const size_t missing = blocks.size() - plan.skip;
  if (missing == 0) {
    ++counters_.local;
    return plan;
  }
  plan.ask = missing >= plan.least;
  if (plan.ask) return plan;
  if (++refused_ < options_.probe_every) {
    ++counters_.too_short;
    return plan;
  }
  refused_ = 0;
  ++counters_.probes;
  plan.ask = true;
  plan.least = 1;
  return plan;
}

void PoolPlanner::Answered(Plan& plan, uint32_t found, uint32_t offered) {
  plan.found = found;
  const int64_t blocks = std::max<int64_t>(0, int64_t{offered > 0 ? offered : found} - plan.skip);
  plan.guess_transfer = model_.Transfer(blocks * options_.block_bytes);
  plan.guess_recompute = model_.Recompute(blocks * options_.block_tokens);
  if (offered == 0) ++counters_.missed;
}

void PoolPlanner::Fetched(Plan& plan, int64_t tokens, absl::Duration took) {
  if (tokens <= 0) {
    ++counters_.lost;
    counters_.fetch_regret += took;
    return;
  }
  plan.fetched = true;
  ++counters_.fetched;
  counters_.tokens_fetched += static_cast<uint64_t>(tokens);
  const absl::Duration computing = model_.Recompute(tokens);
  counters_.fetch_regret += std::max(absl::ZeroDuration(), took - computing);
  counters_.saved += computing - took;
  counters_.guessed_moves += plan.guess_transfer;
  counters_.guessed_computing += plan.guess_recompute;
  counters_.moves += took;
  model_.Moved(tokens / options_.block_tokens * options_.block_bytes, took);
}

void PoolPlanner::Computed(const Plan& plan, absl::Span<const BlockHash> blocks, int64_t computed,
                           absl::Duration took) {
  if (plan.rank < recent_.size()) recent_[plan.rank].Use(blocks);
  const int64_t had = (int64_t{plan.found} - plan.skip) * options_.block_tokens;
  if (!plan.fetched && had > 0 && computed > 0) {
    const absl::Duration share =
        took * (static_cast<double>(std::min(had, computed)) / static_cast<double>(computed));
    counters_.recompute_regret += std::max(absl::ZeroDuration(), share - plan.guess_transfer);
  }
  model_.Computed(computed, took);
}

absl::Duration PoolPlanner::Patience(const Plan& plan) const {
  return std::clamp(4 * plan.guess_transfer, kShortestPatience, kLongestPatience);
}

}  // namespace baton
