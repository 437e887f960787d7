#include "services/router/serve/prompts.h"

#include <algorithm>
#include <utility>

#include "absl/strings/str_cat.h"

namespace baton::router {
namespace {

uint64_t LongestPrompt(const PromptLimits& limits) {
  return std::min<uint64_t>(limits.max_prompt_tokens, limits.max_context - 1);
}

ApiError TooLong(const PromptLimits& limits, absl::string_view yours, const char* param) {
  return InvalidRequest(
      absl::StrCat("this model's maximum context length is ", limits.max_context,
                   " tokens and prompts may have ", LongestPrompt(limits), "; yours has ", yours),
      param, "context_length_exceeded");
}

// What is too long even if every token were the longest there is need not be tokenised.
std::optional<ApiError> CheckTextLength(const ModelText& model, const PromptLimits& limits,
                                        absl::string_view text, const char* param) {
  if (model.longest_token_bytes == 0 || text.size() / model.longest_token_bytes <= LongestPrompt(limits)) {
    return std::nullopt;
  }
  return TooLong(limits, absl::StrCat("more than ", text.size() / model.longest_token_bytes, " tokens"),
                 param);
}

std::optional<ApiError> RenderChat(const ModelText& model, const PromptLimits& limits,
                                   const ApiRequest& request, std::vector<TokenId>& out) {
  if (model.chat_template == nullptr) {
    return InvalidRequest("this model has no chat template; use /v1/completions", "messages");
  }
  ChatInput input{.messages = request.messages};
  const absl::string_view bos = model.tokenizer->bos_text();
  const absl::string_view eos = model.tokenizer->eos_text();
  input.bos_token = std::string(bos);
  input.eos_token = std::string(eos);
  const absl::StatusOr<std::string> text = model.chat_template->Render(input);
  if (!text.ok()) {
    return InvalidRequest(
        absl::StrCat("the model's chat template refused the messages: ", text.status().message()),
        "messages");
  }
  if (auto error = CheckTextLength(model, limits, *text, "messages")) return error;
  out = model.tokenizer->Encode(*text, true);
  return std::nullopt;
}

std::optional<ApiError> EncodePrompt(const ModelText& model, const PromptLimits& limits, const Prompt& prompt,
                                     std::vector<TokenId>& out) {
  const Tokenizer& tokenizer = *model.tokenizer;
  if (const auto* text = std::get_if<std::string>(&prompt)) {
    if (auto error = CheckTextLength(model, limits, *text, "prompt")) return error;
    out = tokenizer.Encode(*text, true);
    if (tokenizer.add_bos() && tokenizer.bos_token() >= 0) out.insert(out.begin(), tokenizer.bos_token());
  } else {
    out = std::get<std::vector<TokenId>>(prompt);
  }
  for (const TokenId token : out) {
    if (token < 0 || token >= tokenizer.vocab_size()) {
      return InvalidRequest(
          absl::StrCat("token id ", token, " is not in the model's vocabulary of ", tokenizer.vocab_size()),
          "prompt", "invalid_value");
    }
  }
  return std::nullopt;
}

std::optional<ApiError> CheckLength(const PromptLimits& limits, const ApiRequest& request,
                                    size_t prompt_tokens, uint32_t& max_tokens) {
  const char* param = request.kind == ApiKind::kChat ? "messages" : "prompt";
  if (prompt_tokens == 0) return InvalidRequest("the prompt is empty", param, "invalid_value");
  if (prompt_tokens > LongestPrompt(limits)) {
    return TooLong(limits, absl::StrCat(prompt_tokens, " tokens"), param);
  }
  const uint64_t rest = limits.max_context - prompt_tokens;
  const uint64_t absent =
      request.kind == ApiKind::kChat ? rest : std::min<uint64_t>(rest, kDefaultCompletionTokens);
  max_tokens = static_cast<uint32_t>(request.max_tokens.value_or(absent));
  if (max_tokens > rest) {
    return InvalidRequest(absl::StrCat("this model's maximum context length is ", limits.max_context,
                                       " tokens; you asked for ", prompt_tokens + max_tokens, " (",
                                       prompt_tokens, " in the prompt, ", max_tokens, " for the answer)"),
                          param, "context_length_exceeded");
  }
  return std::nullopt;
}

std::optional<ApiError> CheckTokenIds(const Tokenizer& tokenizer, const ApiRequest& request) {
  for (const auto& [token, bias] : request.sampling.logit_bias) {
    if (token >= tokenizer.vocab_size()) {
      return InvalidRequest(absl::StrCat("token id ", token, " is not in the vocabulary"), "logit_bias",
                            "invalid_value");
    }
  }
  const size_t room = kMaxStopTokens - std::min(kMaxStopTokens, tokenizer.eos_tokens().size());
  if (request.stop_token_ids.size() > room) {
    return InvalidRequest(absl::StrCat("at most ", room, " stop token ids"), "stop_token_ids",
                          "invalid_value");
  }
  for (const TokenId token : request.stop_token_ids) {
    if (token >= tokenizer.vocab_size()) {
      return InvalidRequest(absl::StrCat("token id ", token, " is not in the vocabulary"), "stop_token_ids",
                            "invalid_value");
    }
  }
  return std::nullopt;
}

}  // namespace

uint64_t LongestTokenBytes(const Tokenizer& tokenizer) {
  uint64_t longest = 0;
  for (TokenId id = 0; id < tokenizer.vocab_size(); ++id) {
    longest = std::max<uint64_t>(longest, tokenizer.TokenBytes(id).size());
  }
  return longest;
}

std::optional<ApiError> TokenizeRequest(const ModelText& model, const PromptLimits& limits,
                                        const ApiRequest& request, TokenizedRequest& out) {
  if (auto error = CheckTokenIds(*model.tokenizer, request)) return error;
  const size_t count = request.kind == ApiKind::kChat ? 1 : request.prompts.size();
  for (size_t i = 0; i < count; ++i) {
    std::vector<TokenId> tokens;
    auto error = request.kind == ApiKind::kChat ? RenderChat(model, limits, request, tokens)
                                                : EncodePrompt(model, limits, request.prompts[i], tokens);
    if (error) return error;
    uint32_t max_tokens = 0;
    if ((error = CheckLength(limits, request, tokens.size(), max_tokens))) return error;
    out.prompt_tokens += tokens.size();
    out.max_tokens.push_back(max_tokens);
    out.prompts.push_back(std::make_shared<const std::vector<TokenId>>(std::move(tokens)));
  }
  return std::nullopt;
}

}  // namespace baton::router
