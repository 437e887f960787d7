#include "services/router/openai/format.h"

#include <cstdint>

#include "absl/strings/str_cat.h"
#include "absl/strings/str_join.h"
#include "services/router/openai/json_text.h"

namespace baton::router {
namespace {

std::string ByteList(absl::string_view bytes) {
  return absl::StrCat("[",
                      absl::StrJoin(bytes, ",",
                                    [](std::string* out, char c) {
                                      absl::StrAppend(out, static_cast<int>(static_cast<uint8_t>(c)));
                                    }),
                      "]");
}

std::string ScoreFields(const ScoredText& scored) {
  return absl::StrCat(R"("token":)", JsonString(scored.bytes), R"(,"logprob":)", JsonFloat(scored.logprob),
                      R"(,"bytes":)", ByteList(scored.bytes));
}

std::string ChatScore(const TokenScore& score) {
  std::string top = absl::StrJoin(score.top, ",", [](std::string* out, const ScoredText& one) {
    absl::StrAppend(out, "{", ScoreFields(one), "}");
  });
  return absl::StrCat("{", ScoreFields(score.chosen), R"(,"top_logprobs":[)", top, "]}");
}

std::string TopMap(const TokenScore& score) {
  return absl::StrCat("{",
                      absl::StrJoin(score.top, ",",
                                    [](std::string* out, const ScoredText& one) {
                                      absl::StrAppend(out, JsonString(one.bytes), ":",
                                                      JsonFloat(one.logprob));
                                    }),
                      "}");
}

std::string UsageJson(const Usage& usage) {
  return absl::StrCat(R"({"prompt_tokens":)", usage.prompt_tokens, R"(,"completion_tokens":)",
                      usage.completion_tokens, R"(,"total_tokens":)",
                      usage.prompt_tokens + usage.completion_tokens,
                      R"(,"prompt_tokens_details":{"cached_tokens":)", usage.cached_tokens, "}}");
}

std::string FinishJson(absl::string_view reason) {
  return reason.empty() ? "null" : JsonString(reason);
}

std::string TokenIdsField(absl::Span<const TokenId> ids) {
  return ids.empty() ? std::string() : absl::StrCat(R"(,"token_ids":[)", absl::StrJoin(ids, ","), "]");
}

}  // namespace

std::string SseEvent(absl::string_view json) {
  return absl::StrCat("data: ", json, "\n\n");
}

AnswerFormat::AnswerFormat(ApiKind kind, std::string id, int64_t created, std::string model, bool logprobs,
                           bool usage_in_stream)
    : kind_(kind),
      id_(std::move(id)),
      created_(created),
      model_(std::move(model)),
      logprobs_(logprobs),
      usage_in_stream_(usage_in_stream) {
  SetEventHead();
}

void AnswerFormat::SetEventHead() {
  event_head_ =
      absl::StrCat("data: ", Head(kind_ == ApiKind::kChat ? "chat.completion.chunk" : "text_completion"),
                   R"(,"choices":[)");
}

std::string AnswerFormat::Head(absl::string_view object) const {
  return absl::StrCat(R"({"id":)", JsonString(id_), R"(,"object":")", object, R"(","created":)", created_,
                      R"(,"model":)", JsonString(model_), R"(,"system_fingerprint":)",
                      FinishJson(fingerprint_), inexact_ ? R"(,"inexact":true)" : "");
}

std::string AnswerFormat::Logprobs(absl::Span<const TokenScore> scores) const {
  if (!logprobs_) return "null";
  if (kind_ == ApiKind::kChat) {
    return absl::StrCat(R"({"content":[)",
                        absl::StrJoin(scores, ",",
                                      [](std::string* out, const TokenScore& score) {
                                        absl::StrAppend(out, ChatScore(score));
                                      }),
                        R"(],"refusal":null})");
  }
  std::vector<std::string> tokens, values, tops, offsets;
  for (const TokenScore& score : scores) {
    tokens.push_back(JsonString(score.chosen.bytes));
    values.push_back(JsonFloat(score.chosen.logprob));
    tops.push_back(TopMap(score));
    offsets.push_back(absl::StrCat(score.text_offset));
  }
  return absl::StrCat(R"({"tokens":[)", absl::StrJoin(tokens, ","), R"(],"token_logprobs":[)",
                      absl::StrJoin(values, ","), R"(],"top_logprobs":[)", absl::StrJoin(tops, ","),
                      R"(],"text_offset":[)", absl::StrJoin(offsets, ","), "]}");
}

std::string AnswerFormat::Whole(absl::Span<const ChoiceResult> choices, const Usage& usage) const {
  const bool chat = kind_ == ApiKind::kChat;
  std::string list;
  for (size_t i = 0; i < choices.size(); ++i) {
    const ChoiceResult& choice = choices[i];
    absl::StrAppend(&list, i == 0 ? "" : ",", R"({"index":)", i);
    if (chat) {
      absl::StrAppend(&list, R"(,"message":{"role":"assistant","content":)", JsonString(choice.text),
                      R"(,"refusal":null})");
    } else {
      absl::StrAppend(&list, R"(,"text":)", JsonString(choice.text));
    }
    absl::StrAppend(&list, R"(,"logprobs":)", Logprobs(choice.scores), R"(,"finish_reason":)",
                    FinishJson(choice.finish_reason), TokenIdsField(choice.token_ids), "}");
  }
  return absl::StrCat(Head(chat ? "chat.completion" : "text_completion"), R"(,"choices":[)", list,
                      R"(],"usage":)", UsageJson(usage), "}");
}

std::string AnswerFormat::Event(absl::string_view choices) const {
  return absl::StrCat(event_head_, choices, usage_in_stream_ ? R"(],"usage":null})" : "]}", "\n\n");
}

std::string AnswerFormat::RoleEvent(uint32_t index) const {
  return Event(
      absl::StrCat(R"({"index":)", index,
                   R"(,"delta":{"role":"assistant","content":""},"logprobs":null,"finish_reason":null})"));
}

std::string AnswerFormat::TextEvent(uint32_t index, absl::string_view text,
                                    absl::Span<const TokenScore> scores, absl::string_view finish_reason,
                                    absl::Span<const TokenId> token_ids) const {
  const std::string logprobs = scores.empty() ? "null" : Logprobs(scores);
  std::string body;
  if (kind_ == ApiKind::kChat) {
    body = text.empty() && scores.empty() ? R"("delta":{})"
                                          : absl::StrCat(R"("delta":{"content":)", JsonString(text), "}");
  } else {
    body = absl::StrCat(R"("text":)", JsonString(text));
  }
  return Event(absl::StrCat(R"({"index":)", index, ",", body, R"(,"logprobs":)", logprobs,
                            R"(,"finish_reason":)", FinishJson(finish_reason), TokenIdsField(token_ids),
                            "}"));
}

std::string AnswerFormat::UsageEvent(const Usage& usage) const {
  return absl::StrCat(event_head_, R"(],"usage":)", UsageJson(usage), "}\n\n");
}

}  // namespace baton::router
