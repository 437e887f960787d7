#include "services/router/policy/rate_limit.h"

#include <algorithm>
#include <cmath>

namespace baton::router {
namespace {
constexpr absl::Duration kFill = absl::Minutes(1);     // of an empty bucket
constexpr absl::Duration kForget = absl::Minutes(10);  // however deep in debt: a bound on memory
}  // namespace

void RateLimiter::Bucket::Refill(double size_now, absl::Duration passed) {
  if (size_now != size) level = size == 0 ? size_now : level * size_now / size;
  size = size_now;
  level = std::min(size, level + size * std::min(1e6, absl::FDivDuration(passed, kFill)));
}

absl::Duration RateLimiter::Bucket::Wait(double want) const {
  const double lacking = std::min(want, size) - level;
  return size == 0 || lacking <= 1e-9 ? absl::ZeroDuration() : kFill * (lacking / size);
}

void RateLimiter::Bucket::Add(double more) {
  level = std::min(size, level + more);
}

absl::Duration RateLimiter::Take(uint64_t number, const RateLimits& limits, uint64_t tokens, MonoTime now) {
  if (limits == RateLimits()) return absl::ZeroDuration();
  Key& key = keys_[number];
  const absl::Duration passed = key.last == absl::InfinitePast() ? absl::ZeroDuration() : now - key.last;
  key.last = now;
  const auto routers = static_cast<double>(routers_);
  key.requests.Refill(static_cast<double>(limits.requests_per_minute) / routers, passed);
  key.tokens.Refill(static_cast<double>(limits.tokens_per_minute) / routers, passed);
  const auto want = static_cast<double>(tokens);
  const absl::Duration wait = std::max(key.requests.Wait(1), key.tokens.Wait(want));
  if (wait > absl::ZeroDuration()) return wait;
  key.requests.level -= 1;
  key.tokens.level -= want;
  return absl::ZeroDuration();
}

void RateLimiter::GiveBack(uint64_t number, double requests, double tokens) {
  const auto key = keys_.find(number);
  if (key == keys_.end()) return;
  key->second.requests.Add(requests);
  key->second.tokens.Add(tokens);
}

void RateLimiter::Forget(MonoTime now) {
  absl::erase_if(keys_, [&](const auto& entry) { return now - entry.second.last > kForget; });
}

}  // namespace baton::router
