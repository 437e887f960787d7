#include "services/router/policy/emission.h"

namespace baton::router {

bool StreamEmission::Begin(Attempt attempt) {
  if (begun_ && attempt <= attempt_) return false;
  begun_ = true;
  attempt_ = attempt;
  return true;
}

EmissionVerdict StreamEmission::Offer(Attempt attempt, const StreamToken& token) {
  if (!begun_ || attempt != attempt_) {
    ++counts_.stale;
    return EmissionVerdict::kStale;
  }
  if (token.position > next_position()) {
    ++counts_.gaps;
    return EmissionVerdict::kGap;
  }
  if (token.position < next_position()) {
    if (emitted_[token.position] == token.token) {
      ++counts_.repeated;
      return EmissionVerdict::kRepeated;
    }
    ++counts_.differing;
    return EmissionVerdict::kDiffers;
  }
  emitted_.push_back(token.token);
  ++counts_.emitted;
  return EmissionVerdict::kEmit;
}

}  // namespace baton::router
