#pragma once

// Planned requests as bytes: prompts of words or token ids, JSON bodies, HTTP. Pure.

#include <string>
#include <vector>

#include "tools/load/plan.h"

namespace baton::load {

enum class Api { kChat, kCompletions };

struct RequestStyle {
  Api api = Api::kChat;
  std::string model;
  int64_t vocab = 0;              // over 0: prompts of token ids below it (completions only)
  bool return_token_ids = false;  // Baton's extension
};

// Turns that came before: chat has them as messages, completions before the prompt.
struct Conversation {
  struct Message {
    std::string role, content;
  };
  std::vector<Message> messages;
  std::vector<int32_t> ids;  // prompts and answers, of prompts of token ids
};

// `part`'s tokens: words with a space before each, of those that most vocabularies know as one token; or ids
// evenly drawn from [min(256, vocab / 4), vocab), as special tokens come first.
void AppendWords(const PromptPart& part, std::string& out);
void AppendIds(const PromptPart& part, int64_t vocab, std::vector<int32_t>& out);

// `before` with the request's own messages (or ids) added.
Conversation WithPrompt(Conversation before, const PlannedRequest& request, const RequestStyle& style);

// The JSON body: streamed, with usage. `conversation` has the request's own prompt.
std::string RequestBody(const PlannedRequest& request, const Conversation& conversation,
                        const RequestStyle& style);

}  // namespace baton::load
