#include "engine/engine_core_spec.h"

#include "absl/strings/str_cat.h"
#include "common/status_macros.h"
#include "engine/sampling/distribution.h"

namespace baton {
namespace {

constexpr int32_t kMaxTopLogprobs = 20;

absl::Status CheckTokens(absl::Span<const TokenId> tokens, int vocab, const char* what) {
  for (TokenId token : tokens) {
    if (token >= 0 && token < vocab) continue;
    return absl::InvalidArgumentError(absl::StrCat(what, " ", token, " is not in the vocabulary of ", vocab));
  }
  return absl::OkStatus();
}

}  // namespace

int64_t LargestKvTokens(const SequenceSpec& spec, bool whole) {
  return whole ? spec.prompt_tokens + spec.max_tokens - 1 : static_cast<int64_t>(spec.tokens.size());
}

absl::Status CheckSpec(const SequenceSpec& spec, const SpecLimits& limits, bool whole) {
  const int64_t length = static_cast<int64_t>(spec.tokens.size());
  if (length == 0) return absl::InvalidArgumentError("the prompt has no tokens");
  if (spec.prompt_tokens < 1 || spec.prompt_tokens > length) {
    return absl::InvalidArgumentError(
        absl::StrCat("prompt_tokens is ", spec.prompt_tokens, " of ", length, " tokens"));
  }
  if (spec.max_tokens < 1) return absl::InvalidArgumentError("max_tokens must be at least 1");
  if (length - spec.prompt_tokens >= spec.max_tokens) {
    return absl::InvalidArgumentError(
        absl::StrCat("all of max_tokens (", spec.max_tokens, ") were already emitted"));
  }
  if (spec.prompt_tokens > limits.max_context || spec.max_tokens > limits.max_context - spec.prompt_tokens) {
    return absl::InvalidArgumentError(absl::StrCat("prompt (", spec.prompt_tokens,
                                                   " tokens) and max_tokens (", spec.max_tokens,
                                                   ") exceed the model's context of ", limits.max_context));
  }
  if (spec.top_logprobs < -1 || spec.top_logprobs > kMaxTopLogprobs) {
    return absl::InvalidArgumentError(absl::StrCat("top_logprobs must be at most ", kMaxTopLogprobs));
  }
  BATON_RETURN_IF_ERROR(CheckTokens(spec.tokens, limits.vocab, "token"));
  BATON_RETURN_IF_ERROR(CheckTokens(spec.stop_tokens, limits.vocab, "stop token"));
  BATON_RETURN_IF_ERROR(CheckSamplingParams(spec.sampling, limits.vocab));
  const int64_t needed = limits.layout.PagesFor(LargestKvTokens(spec, whole));
  if (needed > limits.pages) {
    return absl::ResourceExhaustedError(absl::StrCat("the sequence may need ", needed, " KV pages of ",
                                                     limits.layout.PageTokens(), " tokens; this rank has ",
                                                     limits.pages));
  }
  return absl::OkStatus();
}

}  // namespace baton
