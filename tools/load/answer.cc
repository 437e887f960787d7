#include "tools/load/answer.h"

#include <algorithm>

#include "absl/strings/str_cat.h"
#include "absl/strings/strip.h"

namespace baton::load {
namespace {

constexpr size_t kMostErrorBody = 64 << 10;
constexpr size_t kMostWorkers = 100;

}  // namespace

Answer::Answer(const PlannedRequest& request, size_t index, MonoTime scheduled, bool keep_text)
    : request_(request), keep_text_(keep_text) {
  record_.index = index;
  record_.scheduled = scheduled;
  record_.input_tokens = request.input_tokens;
  record_.arrivals.reserve(std::clamp<int64_t>(request.max_tokens, 1, 4096));
}

void Answer::End(Outcome outcome, absl::string_view error, MonoTime now) {
  if (ended_) return;
  ended_ = true;
  record_.outcome = outcome;
  record_.error = std::string(error);
  record_.ended = now;
  record_.output_tokens = counted_ >= 0 ? counted_ : arrived_;
}

Answer::Step Answer::Add(absl::string_view bytes, MonoTime now) {
  Step step;
  if (ended_) return step;
  const absl::Status parsed = response_.Add(bytes, body_);
  record_.http_status = response_.status();
  if (record_.workers.empty() && !response_.workers().empty()) record_.workers = {response_.workers()};
  if (!parsed.ok()) {
    End(Outcome::kMidStream, parsed.message(), now);
  } else if (response_.status() == 200) {
    const auto take = [&](absl::string_view data) {
      TakeEvent(data, now, step);
      CancelIfDue(now);
      return !ended_;
    };
    const absl::Status cut =
        events_.Add(body_, take, [this](absl::string_view comment) { TakeComment(comment); });
    body_.clear();
    if (!cut.ok()) End(Outcome::kMidStream, cut.message(), now);
    if (response_.done()) EndOfBody(now);
  } else if (response_.done() || body_.size() > kMostErrorBody) {
    TakeError(now);
  }
  CancelIfDue(now);
  step.ended = ended_;
  return step;
}

void Answer::CancelIfDue(MonoTime now) {
  if (request_.cancel_after >= 0 && arrived_ >= request_.cancel_after) End(Outcome::kCancelled, "", now);
}

// "baton-workers 0 prefill-0, decode-1": whoever serves the choice from here on.
void Answer::TakeComment(absl::string_view comment) {
  if (!absl::ConsumePrefix(&comment, "baton-workers ") || record_.workers.size() == kMostWorkers) return;
  comment.remove_prefix(std::min(comment.find(' ') + 1, comment.size()));
  record_.workers.emplace_back(comment);
}

void Answer::TakeEvent(absl::string_view data, MonoTime now, Step& step) {
  if (data == "[DONE]") return EndOfBody(now);
  absl::StatusOr<OpenAiEvent> event = ParseOpenAiEvent(data);
  if (!event.ok()) return End(Outcome::kMidStream, event.status().message(), now);
  if (!event->error.empty()) return End(Outcome::kMidStream, event->error, now);
  if (const int tokens = event->Tokens(); tokens > 0) {
    record_.arrivals.push_back({now, tokens});
    arrived_ += tokens;
    step.tokens += tokens;
  }
  step.ids.insert(step.ids.end(), event->token_ids.begin(), event->token_ids.end());
  record_.token_ids.insert(record_.token_ids.end(), event->token_ids.begin(), event->token_ids.end());
  if (keep_text_) record_.text += event->text;
  if (record_.response_id.empty()) record_.response_id = event->id;
  if (!event->finish_reason.empty()) record_.finish_reason = event->finish_reason;
  if (event->prompt_tokens.has_value()) record_.input_tokens = *event->prompt_tokens;
  if (event->completion_tokens.has_value()) counted_ = *event->completion_tokens;
}

void Answer::EndOfBody(MonoTime now) {
  if (record_.finish_reason.empty()) return End(Outcome::kShort, "it ended without a finish reason", now);
  const int64_t tokens = counted_ >= 0 ? counted_ : arrived_;
  const bool stopped =
      request_.ignore_eos && record_.finish_reason != "length" && tokens < request_.max_tokens;
  if (stopped)
    return End(Outcome::kShort,
               absl::StrCat("it stopped after ", tokens, " of ", request_.max_tokens, " tokens"), now);
  End(Outcome::kCompleted, "", now);
}

void Answer::TakeError(MonoTime now) {
  End(Outcome::kHttpStatus, absl::StrCat("HTTP ", response_.status(), ": ", ErrorText(body_)), now);
}

void Answer::Closed(MonoTime now) {
  if (ended_) return;
  const absl::Status closed = response_.Close();
  if (response_.status() != 0 && response_.status() != 200) return TakeError(now);
  if (closed.ok()) return EndOfBody(now);
  End(Outcome::kDisconnect, closed.message(), now);
}

}  // namespace baton::load
