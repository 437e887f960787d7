#include "services/worker/request_limits.h"

#include <cmath>

#include "absl/strings/str_cat.h"
#include "common/status_macros.h"

namespace baton {
namespace {

absl::Status Range(absl::string_view name, float value, float low, float high) {
  if (std::isfinite(value) && value >= low && value <= high) return absl::OkStatus();
  return absl::InvalidArgumentError(absl::StrCat(name, " must be in [", low, ", ", high, "]"));
}

absl::Status CheckTokens(absl::string_view name, const std::vector<TokenId>& tokens, int32_t vocab_size) {
  for (const TokenId token : tokens) {
    if (token < 0 || token >= vocab_size) {
      return absl::InvalidArgumentError(
          absl::StrCat(name, " holds ", token, ", outside the vocabulary of ", vocab_size));
    }
  }
  return absl::OkStatus();
}

absl::Status CheckSampling(const SamplingParams& sampling, int32_t vocab_size) {
  BATON_RETURN_IF_ERROR(Range("temperature", sampling.temperature, 0, 100));
  BATON_RETURN_IF_ERROR(Range("top_p", sampling.top_p, 0, 1));
  BATON_RETURN_IF_ERROR(Range("min_p", sampling.min_p, 0, 1));
  BATON_RETURN_IF_ERROR(Range("presence_penalty", sampling.presence_penalty, -100, 100));
  BATON_RETURN_IF_ERROR(Range("frequency_penalty", sampling.frequency_penalty, -100, 100));
  BATON_RETURN_IF_ERROR(Range("repetition_penalty", sampling.repetition_penalty, 1e-3f, 1e3f));
  if (sampling.top_k < 0) return absl::InvalidArgumentError("top_k must not be negative");
  if (sampling.logit_bias.size() > kMaxLogitBias) {
    return absl::InvalidArgumentError(absl::StrCat("logit_bias has more than ", kMaxLogitBias, " entries"));
  }
  for (const auto& [token, bias] : sampling.logit_bias) {
    BATON_RETURN_IF_ERROR(Range("logit_bias", bias, -1e6f, 1e6f));
    BATON_RETURN_IF_ERROR(CheckTokens("logit_bias", {token}, vocab_size));
  }
  return absl::OkStatus();
}

}  // namespace

absl::Status CheckPrefix(const std::vector<TokenId>& tokens, const RequestLimits& limits) {
  if (tokens.empty()) return absl::InvalidArgumentError("tokens must not be empty");
  if (static_cast<int64_t>(tokens.size()) > limits.max_context) {
    return absl::InvalidArgumentError(
        absl::StrCat(tokens.size(), " tokens exceed the context of ", limits.max_context));
  }
  return CheckTokens("tokens", tokens, limits.vocab_size);
}

absl::Status CheckRequest(const SequenceSpec& spec, const RequestLimits& limits) {
  const int64_t tokens = static_cast<int64_t>(spec.tokens.size());
  if (tokens == 0) return absl::InvalidArgumentError("tokens must not be empty");
  if (tokens >= limits.max_context) {
    return absl::InvalidArgumentError(
        absl::StrCat(tokens, " tokens leave no room in a context of ", limits.max_context));
  }
  BATON_RETURN_IF_ERROR(CheckTokens("tokens", spec.tokens, limits.vocab_size));
  if (spec.prompt_tokens < 1 || spec.prompt_tokens > tokens) {
    return absl::InvalidArgumentError("prompt_tokens must be in [1, number of tokens]");
  }
  if (spec.max_tokens <= tokens - spec.prompt_tokens) {
    return absl::InvalidArgumentError("max_tokens must exceed the tokens already generated");
  }
  if (spec.stop_tokens.size() > kMaxStopTokens) {
    return absl::InvalidArgumentError(absl::StrCat("more than ", kMaxStopTokens, " stop_tokens"));
  }
  BATON_RETURN_IF_ERROR(CheckTokens("stop_tokens", spec.stop_tokens, limits.vocab_size));
  if (spec.top_logprobs < -1 || spec.top_logprobs > kMaxTopLogprobs) {
    return absl::InvalidArgumentError(absl::StrCat("top_logprobs must be at most ", kMaxTopLogprobs));
  }
  return CheckSampling(spec.sampling, limits.vocab_size);
}

}  // namespace baton
