#include "services/router/serve/resume_plan.h"

#include <algorithm>
#include <tuple>
#include <utility>

namespace baton::router {
namespace {

bool Better(const FoundRecord& a, const FoundRecord& b) {
  const auto rank = [](const FoundRecord& one) {
    const RecordMessage& record = one.record;
    return std::tuple(record.tokens.size(), record.finish != StreamFinish::kNone, record.live, record.attempt,
                      one.worker);
  };
  return rank(a) > rank(b);
}

void LendScores(const RecordMessage& from, RecordMessage& to) {
  const size_t both = std::min(from.tokens.size(), to.tokens.size());
  for (size_t i = 0; i < both && from.tokens[i].token == to.tokens[i].token; ++i) {
    if (to.scored[i] || !from.scored[i]) continue;
    to.tokens[i] = from.tokens[i];
    to.scored[i] = true;
  }
}

}  // namespace

std::optional<ResumePlan> PlanResume(std::vector<FoundRecord> found) {
  if (found.empty()) return std::nullopt;
  std::sort(found.begin(), found.end(), Better);
  RecordMessage& best = found.front().record;
  ResumePlan plan{.fingerprint = found.front().fingerprint};
  for (const FoundRecord& one : found) {
    if (one.fingerprint == plan.fingerprint) LendScores(one.record, best);
    plan.attempt = std::max(plan.attempt, one.record.attempt);
    plan.cached_tokens = std::max(plan.cached_tokens, one.record.cached_tokens);
  }
  size_t usable = best.tokens.size();
  if (best.spec.top_logprobs >= 0) {
    usable = 0;
    while (usable < best.tokens.size() && best.scored[usable]) ++usable;
  }
  if (usable == best.tokens.size() && best.live) plan.live = RankRef{found.front().worker, best.rank};
  best.tokens.resize(usable);
  plan.inexact = best.inexact;
  plan.tokens = std::move(best.tokens);
  plan.spec = std::move(best.spec);
  return plan;
}

}  // namespace baton::router
