#pragma once

// What a streamed event of the OpenAI API says, chat or completions. Pure.

#include <cstdint>
#include <optional>
#include <string>
#include <vector>

#include "absl/status/statusor.h"
#include "absl/strings/string_view.h"

namespace baton::load {

struct OpenAiEvent {
  std::string id;
  std::string text;                                         // of the first choice; reasoning counts as text
  std::vector<int32_t> token_ids;                           // Baton's and vLLM's extension
  std::string finish_reason;                                // empty: none
  std::optional<int64_t> prompt_tokens, completion_tokens;  // of the usage, where the event has it
  std::string error;                                        // an error event's message

  // Tokens that it brought: as many as it has ids, else one if it has text.
  int Tokens() const { return token_ids.empty() ? !text.empty() : static_cast<int>(token_ids.size()); }
};

// INVALID_ARGUMENT if `data` is no JSON object.
absl::StatusOr<OpenAiEvent> ParseOpenAiEvent(absl::string_view data);

// The message in the body of an error answer, or the beginning of the body, on one line.
std::string ErrorText(absl::string_view body);

// The first model's name in the answer of /v1/models. NOT_FOUND if there is none.
absl::StatusOr<std::string> FirstModel(absl::string_view body);

}  // namespace baton::load
