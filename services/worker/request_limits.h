#pragma once

// Whether a request can be served at all: checked before anything is reserved. Thread-safe.

#include "absl/status/status.h"
#include "engine/types.h"

namespace baton {

struct RequestLimits {
  int64_t max_context = 0;  // tokens of a sequence, generated ones included
  int32_t vocab_size = 0;
};

// Largest counts that a request may name.
inline constexpr int32_t kMaxTopLogprobs = 20;
inline constexpr size_t kMaxLogitBias = 1024;
inline constexpr size_t kMaxStopTokens = 256;

// InvalidArgument naming the field that is out of its bounds.
absl::Status CheckRequest(const SequenceSpec& spec, const RequestLimits& limits);
// The same of tokens whose blocks move.
absl::Status CheckPrefix(const std::vector<TokenId>& tokens, const RequestLimits& limits);

}  // namespace baton
