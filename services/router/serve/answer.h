#pragma once

// Writes one request's answer to its client, streamed or whole. Used on the exchange's strand only.

#include <array>
#include <memory>
#include <optional>
#include <string>
#include <vector>

#include "services/router/http/http_types.h"
#include "services/router/openai/api_error.h"
#include "services/router/openai/format.h"
#include "services/router/serve/event_id.h"
#include "services/router/serve/text_assembler.h"

namespace baton::router {

// An error as a whole response.
HttpResponse ErrorToHttp(const ApiError& error);

class Answer {
 public:
  Answer(std::shared_ptr<HttpExchange> exchange, AnswerFormat format, const ApiRequest& request,
         size_t choices);

  void set_fingerprint(const std::string& fingerprint) { format_.set_fingerprint(fingerprint); }
  // Other workers than these alone would say otherwise (docs/exactness.md): what is sent from now on says so,
  // and the header if it is still to come.
  void MarkInexact() { format_.set_inexact(); }
  // Which workers serve the choice: "prefill-0, decode-1". Told to those who ask for token ids: in the header
  // Baton-Workers, or, of what is not known or changes after that, in a comment before the next event.
  void SetWorkers(uint32_t choice, std::string workers);
  // Events carry ids from now on, by which any router can go on after them. If `id` says that the client has
  // parts of the answer, these are not sent again.
  void IdentifyEvents(EventId id);
  void SetHolders(uint32_t choice, const std::array<uint32_t, 2>& holders);
  // What is added next is of this many tokens of the choice.
  void Reached(uint32_t choice, uint32_t tokens);
  // False: the client reads too slowly.
  bool Add(uint32_t choice, TextPiece piece);
  bool Finish(uint32_t choice, TextPiece last, std::string reason);
  void Complete(const Usage& usage);
  // Before anything was sent: an error response; in a stream: an error event, then the body ends without
  // [DONE]. If the event finds no room, the connection breaks: a failed answer never looks whole.
  void Fail(const ApiError& error);
  void Abort();  // closes without a word
  bool started() const { return started_; }
  uint64_t held_bytes() const { return held_bytes_; }  // of an answer not streamed, about

 private:
  HttpHeaders Headers() const;
  std::string WorkersComment(uint32_t choice);
  bool Send(uint32_t choice, const TextPiece& piece, absl::string_view reason, ChoiceMark::Phase phase);
  void Start();

  const std::shared_ptr<HttpExchange> exchange_;
  AnswerFormat format_;
  const ApiKind kind_;
  const bool stream_;
  const bool include_usage_;
  const bool names_workers_;
  bool started_ = false;
  uint64_t held_bytes_ = 0;
  std::vector<ChoiceResult> results_;
  std::vector<bool> role_sent_;
  std::vector<std::string> workers_, workers_told_;  // of each choice
  std::optional<EventId> id_;                        // of the last event
  std::vector<uint32_t> reached_;                    // tokens of each choice
};

}  // namespace baton::router
