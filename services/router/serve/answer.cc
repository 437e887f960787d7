#include "services/router/serve/answer.h"

#include <iterator>
#include <utility>

#include "absl/strings/str_cat.h"

namespace baton::router {

namespace {

uint64_t Bytes(const TextPiece& piece) {
  uint64_t bytes = piece.text.size() + piece.token_ids.size() * sizeof(TokenId);
  for (const TokenScore& score : piece.scores) {
    bytes += sizeof(score) + score.chosen.bytes.size();
    for (const ScoredText& top : score.top) bytes += sizeof(top) + top.bytes.size();
  }
  return bytes;
}

}  // namespace

HttpResponse ErrorToHttp(const ApiError& error) {
  HttpResponse response{.status = error.status, .body = error.ToJson()};
  if (error.retry_after_s > 0)
    response.headers.emplace_back("Retry-After", std::to_string(error.retry_after_s));
  return response;
}

Answer::Answer(std::shared_ptr<HttpExchange> exchange, AnswerFormat format, const ApiRequest& request,
               size_t choices)
    : exchange_(std::move(exchange)),
      format_(std::move(format)),
      kind_(request.kind),
      stream_(request.stream),
      include_usage_(request.include_usage),
      names_workers_(request.return_token_ids),
      results_(choices),
      role_sent_(choices, false),
      workers_(choices),
      workers_told_(choices) {}

void Answer::SetWorkers(uint32_t choice, std::string workers) {
  if (!workers.empty()) workers_[choice] = std::move(workers);
}

std::string Answer::WorkersComment(uint32_t choice) {
  if (!names_workers_ || workers_[choice] == workers_told_[choice]) return "";
  workers_told_[choice] = workers_[choice];
  return absl::StrCat(": baton-workers ", choice, " ", workers_[choice], "\n");
}

bool Answer::Add(uint32_t choice, TextPiece piece) {
  if (piece.empty()) return true;
  if (stream_) return Send(choice, piece, "", ChoiceMark::Phase::kOpened);
  held_bytes_ += Bytes(piece);
  ChoiceResult& result = results_[choice];
  result.text += piece.text;
  result.scores.insert(result.scores.end(), std::make_move_iterator(piece.scores.begin()),
                       std::make_move_iterator(piece.scores.end()));
  result.token_ids.insert(result.token_ids.end(), piece.token_ids.begin(), piece.token_ids.end());
  return true;
}

bool Answer::Finish(uint32_t choice, TextPiece last, std::string reason) {
  using Phase = ChoiceMark::Phase;
  if (!stream_) {
    Add(choice, std::move(last));
    results_[choice].finish_reason = std::move(reason);
    return true;
  }
  const Phase had = id_ ? id_->choices[choice].phase : Phase::kNothing;
  if (had == Phase::kFinished) return true;
  if (kind_ == ApiKind::kCompletion) return Send(choice, last, reason, Phase::kFinished);
  const bool flushed = last.empty() || had == Phase::kFlushed || Send(choice, last, "", Phase::kFlushed);
  return flushed && Send(choice, {}, reason, Phase::kFinished);
}

void Answer::IdentifyEvents(EventId id) {
  reached_.clear();
  for (size_t i = 0; i < id.choices.size(); ++i) {
    role_sent_[i] = id.choices[i].phase != ChoiceMark::Phase::kNothing;
    reached_.push_back(id.choices[i].tokens);
  }
  id_ = std::move(id);
}

void Answer::SetHolders(uint32_t choice, const std::array<uint32_t, 2>& holders) {
  if (id_) id_->choices[choice].holders = holders;
}

void Answer::Reached(uint32_t choice, uint32_t tokens) {
  if (id_) reached_[choice] = tokens;
}

HttpHeaders Answer::Headers() const {
  HttpHeaders headers;
  if (format_.inexact()) headers.emplace_back("Baton-Inexact", "true");
  if (names_workers_ && !workers_[0].empty()) headers.emplace_back("Baton-Workers", workers_[0]);
  return headers;
}

void Answer::Start() {
  if (!started_) {
    exchange_->StartStream("text/event-stream; charset=utf-8", Headers());
    workers_told_[0] = workers_[0];
  }
  started_ = true;
}

bool Answer::Send(uint32_t choice, const TextPiece& piece, absl::string_view reason,
                  ChoiceMark::Phase phase) {
  Start();
  std::string events;
  if (kind_ == ApiKind::kChat && !role_sent_[choice]) events = format_.RoleEvent(choice);
  role_sent_[choice] = true;
  events += WorkersComment(choice);
  if (id_) {
    id_->choices[choice].phase = phase;
    id_->choices[choice].tokens = reached_[choice];
    absl::StrAppend(&events, "id: ", EncodeEventId(*id_), "\n");
  }
  events += format_.TextEvent(choice, piece.text, piece.scores, reason, piece.token_ids);
  return exchange_->Write(events);
}

void Answer::Complete(const Usage& usage) {
  if (!stream_) return exchange_->Respond({.headers = Headers(), .body = format_.Whole(results_, usage)});
  Start();
  std::string events;
  if (include_usage_ && !(id_ && id_->usage_sent)) {
    if (id_) {
      id_->usage_sent = true;
      absl::StrAppend(&events, "id: ", EncodeEventId(*id_), "\n");
    }
    events += format_.UsageEvent(usage);
  }
  events.append(kDoneEvent.data(), kDoneEvent.size());
  exchange_->EndStream(exchange_->Write(events));
}

void Answer::Fail(const ApiError& error) {
  if (!started_) return exchange_->Respond(ErrorToHttp(error));
  exchange_->EndStream(exchange_->Write(SseEvent(error.ToJson())));
}

void Answer::Abort() {
  exchange_->EndStream(false);
}

}  // namespace baton::router
