#pragma once

// One stream to generate, as the router hands it to workers: the native form of a choice of an API request.

#include <cstdint>
#include <memory>
#include <string>
#include <utility>
#include <vector>

#include "absl/time/time.h"
#include "common/ids.h"

namespace baton::router {

struct SamplingSpec {
  float temperature = 1.0f;  // 0: greedy
  int32_t top_k = 0;         // 0: off
  float top_p = 1.0f;
  float min_p = 0.0f;
  float presence_penalty = 0.0f;
  float frequency_penalty = 0.0f;
  float repetition_penalty = 1.0f;
  std::vector<std::pair<TokenId, float>> logit_bias;
  uint64_t seed = 0;
  uint32_t choice_index = 0;
};

inline constexpr size_t kMaxStopTokens = 256;  // workers refuse more

struct GenerateSpec {
  StreamId stream;
  std::shared_ptr<const std::vector<TokenId>> prompt;  // shared by the choices of a request
  SamplingSpec sampling;
  uint32_t max_tokens = 0;
  std::vector<TokenId> stop_tokens;  // EOS included, unless it is to be ignored
  bool ignore_eos = false;           // as workers know it: stop_tokens end nothing; only if there are none
  int32_t top_logprobs = -1;         // -1: none
  Id128 cache_salt;                  // prefix blocks are shared only within equal ones; empty: nobody's
  std::string card;                  // of a stream that can be resumed (rpc/stream_card.h)
  Id128 principal;                   // by whom
};

}  // namespace baton::router
