#pragma once

// Answers in OpenAI's form: whole bodies, and the JSON of server-sent events. Pure, thread-safe.

#include <cstdint>
#include <string>
#include <utility>
#include <vector>

#include "absl/strings/string_view.h"
#include "absl/types/span.h"
#include "services/router/openai/api_request.h"

namespace baton::router {

inline constexpr absl::string_view kDoneEvent = "data: [DONE]\n\n";

std::string SseEvent(absl::string_view json);

struct ScoredText {
  std::string bytes;  // a token's own, perhaps part of a character
  float logprob = 0;
};

struct TokenScore {
  ScoredText chosen;
  std::vector<ScoredText> top;
  uint32_t text_offset = 0;  // of the token's text in the choice's text, in code points
};

struct Usage {
  uint64_t prompt_tokens = 0;
  uint64_t completion_tokens = 0;
  uint64_t cached_tokens = 0;
};

struct ChoiceResult {
  std::string text;
  std::vector<TokenScore> scores;
  std::vector<TokenId> token_ids;  // empty: not wanted
  std::string finish_reason;
};

// The parts that all answers to one request share.
class AnswerFormat {
 public:
  AnswerFormat(ApiKind kind, std::string id, int64_t created, std::string model, bool logprobs,
               bool usage_in_stream);
  void set_fingerprint(std::string fingerprint) {
    fingerprint_ = std::move(fingerprint);
    SetEventHead();
  }

  // From now on heads carry "inexact":true.
  void set_inexact() {
    inexact_ = true;
    SetEventHead();
  }
  bool inexact() const { return inexact_; }

  std::string Whole(absl::Span<const ChoiceResult> choices, const Usage& usage) const;

  // Events of one choice. Role is a chat's first; finish_reason empty: not finished.
  std::string RoleEvent(uint32_t index) const;
  std::string TextEvent(uint32_t index, absl::string_view text, absl::Span<const TokenScore> scores,
                        absl::string_view finish_reason, absl::Span<const TokenId> token_ids = {}) const;
  std::string UsageEvent(const Usage& usage) const;

 private:
  std::string Head(absl::string_view object) const;
  void SetEventHead();  // after a change of what it tells
  std::string Event(absl::string_view choices) const;
  std::string Logprobs(absl::Span<const TokenScore> scores) const;

  const ApiKind kind_;
  const std::string id_;
  const int64_t created_;
  const std::string model_;
  const bool logprobs_;
  const bool usage_in_stream_;
  std::string fingerprint_;
  bool inexact_ = false;
  std::string event_head_;  // what all events begin with
};

}  // namespace baton::router
