#include "services/worker/request_limits.h"

#include <gtest/gtest.h>

#include <functional>
#include <limits>

namespace baton {
namespace {

SequenceSpec Good() {
  SequenceSpec spec;
  spec.tokens = {1, 2, 3};
  spec.prompt_tokens = 3;
  spec.max_tokens = 1;
  return spec;
}

TEST(RequestLimits, EachFieldHasBounds) {
  const RequestLimits limits{.max_context = 8, .vocab_size = 10};
  EXPECT_TRUE(CheckRequest(Good(), limits).ok());
  const float nan = std::numeric_limits<float>::quiet_NaN();
  const std::vector<std::function<void(SequenceSpec&)>> faults = {
      [](auto& s) { s.tokens.clear(); },
      [](auto& s) { s.tokens.assign(8, 1), s.prompt_tokens = 8; },
      [](auto& s) { s.tokens[1] = 10; },
      [](auto& s) { s.tokens[1] = -1; },
      [](auto& s) { s.prompt_tokens = 0; },
      [](auto& s) { s.prompt_tokens = 4; },
      [](auto& s) { s.max_tokens = 0; },
      [](auto& s) { s.prompt_tokens = 1, s.max_tokens = 2; },
      [](auto& s) { s.stop_tokens.assign(kMaxStopTokens + 1, 1); },
      [](auto& s) { s.stop_tokens = {11}; },
      [](auto& s) { s.top_logprobs = 21; },
      [nan](auto& s) { s.sampling.temperature = nan; },
      [](auto& s) { s.sampling.temperature = -1; },
      [](auto& s) { s.sampling.top_p = 1.5f; },
      [](auto& s) { s.sampling.min_p = -0.1f; },
      [](auto& s) { s.sampling.presence_penalty = 1e9f; },
      [](auto& s) { s.sampling.frequency_penalty = -1e9f; },
      [](auto& s) { s.sampling.repetition_penalty = 0; },
      [](auto& s) { s.sampling.top_k = -1; },
      [](auto& s) {
        s.sampling.logit_bias = {{10, 1.0f}};
      },
      [nan](auto& s) {
        s.sampling.logit_bias = {{1, nan}};
      },
      [](auto& s) {
        s.sampling.logit_bias.assign(kMaxLogitBias + 1, {1, 1.0f});
      },
  };
  for (size_t i = 0; i < faults.size(); ++i) {
    SequenceSpec spec = Good();
    faults[i](spec);
    EXPECT_TRUE(absl::IsInvalidArgument(CheckRequest(spec, limits))) << "fault " << i;
  }
}

}  // namespace
}  // namespace baton
