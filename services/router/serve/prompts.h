#pragma once

// A parsed request's prompts as token ids, and the lengths that follow from them. Pure but for the model's
// own tables; thread-safe.

#include <cstdint>
#include <memory>
#include <optional>
#include <vector>

#include "engine/text/chat_template.h"
#include "engine/text/tokenizer.h"
#include "services/router/openai/api_error.h"
#include "services/router/openai/api_request.h"

namespace baton::router {

struct ModelText {
  const Tokenizer* tokenizer = nullptr;
  const ChatTemplate* chat_template = nullptr;  // nullptr: the model has none; chats are refused
  uint64_t longest_token_bytes = 0;             // LongestTokenBytes; 0: unknown
};

struct PromptLimits {
  uint64_t max_context = 0;  // prompt and answer together
  uint32_t max_prompt_tokens = 0;
};

using TokenList = std::shared_ptr<const std::vector<TokenId>>;

struct TokenizedRequest {
  std::vector<TokenList> prompts;    // one of a chat
  std::vector<uint32_t> max_tokens;  // of each
  uint64_t prompt_tokens = 0;        // sum
};

inline constexpr uint32_t kDefaultCompletionTokens = 16;  // as OpenAI documents for /v1/completions

uint64_t LongestTokenBytes(const Tokenizer& tokenizer);

// Text that cannot fit, by its length alone, is refused without being tokenised.
std::optional<ApiError> TokenizeRequest(const ModelText& model, const PromptLimits& limits,
                                        const ApiRequest& request, TokenizedRequest& out);

}  // namespace baton::router
