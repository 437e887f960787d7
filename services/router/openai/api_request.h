#pragma once

// A request of the OpenAI API in native form: parsed and checked once (parse.h), with nothing of JSON left.

#include <cstdint>
#include <optional>
#include <string>
#include <variant>
#include <vector>

#include "common/ids.h"
#include "engine/text/chat_template.h"
#include "services/router/rpc/generate_spec.h"

namespace baton::router {

enum class ApiKind { kChat, kCompletion };

using Prompt = std::variant<std::string, std::vector<TokenId>>;

struct ApiRequest {
  ApiKind kind = ApiKind::kChat;
  std::string model;                  // empty: whatever is served
  std::vector<ChatMessage> messages;  // of a chat
  std::vector<Prompt> prompts;        // of a completion; each has its own n choices
  uint32_t n = 1;
  bool stream = false;
  bool include_usage = false;
  std::optional<uint32_t> max_tokens;
  std::vector<std::string> stop;
  std::vector<TokenId> stop_token_ids;
  SamplingSpec sampling;  // seed and choice_index are set later
  std::optional<uint64_t> seed;
  int32_t top_logprobs = -1;  // -1: no logprobs
  bool ignore_eos = false;
  std::string cache_salt;  // prefixes are shared only among requests of the same; empty: among those of none
  bool return_token_ids = false;  // answers carry the generated tokens' ids beside their text
};

}  // namespace baton::router
