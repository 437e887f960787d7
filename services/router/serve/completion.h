#pragma once

// One API request from body to answer: parse, tokenise, admit, run its choices, write. Lives on its
// exchange's strand.
//
// Held by its exchange's close callback and alarm; when the exchange ends, so does this, and what is still
// open at workers is cancelled.

#include <functional>
#include <memory>
#include <optional>
#include <string>
#include <vector>

#include "common/gate.h"
#include "services/router/http/http_types.h"
#include "services/router/openai/parse.h"
#include "services/router/serve/admission_gate.h"
#include "services/router/serve/answer.h"
#include "services/router/serve/caller.h"
#include "services/router/serve/prompts.h"
#include "services/router/serve/resume_plan.h"
#include "services/router/serve/router_metrics.h"
#include "services/router/serve/stream_driver.h"

namespace baton::router {

// What all requests share. Everything pointed to outlives them.
struct ServingContext {
  ModelText text;
  std::string model_name;
  uint64_t model_context = 0;  // as the model file says; workers may announce less
  uint32_t max_prompt_tokens = 0;
  absl::Duration request_timeout = absl::Seconds(600);
  uint64_t max_answer_bytes = 64u << 20;  // held for an answer that is not streamed
  bool event_ids = true;                  // streamed answers can be resumed
  ParseLimits parse;
  SessionConfig session;
  Cluster cluster;
  AdmissionGate* admission = nullptr;
  RouterMetrics* metrics = nullptr;
};

class Completion final : public StreamListener, public std::enable_shared_from_this<Completion> {
 public:
  // Answers `exchange`, now or later. `pass` is held until then.
  static void Serve(const ServingContext& context, Caller caller, ApiKind kind, std::string body,
                    std::shared_ptr<HttpExchange> exchange, Gate::Pass pass);

  // Goes on with an answer of `caller` that this router or another one began.
  static void Resume(const ServingContext& context, Caller caller, ResumedAnswer resumed,
                     std::shared_ptr<HttpExchange> exchange, Gate::Pass pass);

  Completion(const ServingContext& context, Caller caller, std::shared_ptr<HttpExchange> exchange,
             Gate::Pass pass);
  ~Completion() override;

  void OnStreamToken(uint32_t choice, const StreamToken& token) override;
  void OnStreamDeadline() override { SetAlarm(); }
  void OnStreamEnd(uint32_t choice, const StreamEnd& end) override;

 private:
  struct Choice {
    std::shared_ptr<StreamDriver> driver;
    TextAssembler text;
    uint64_t tokens = 0;
    uint64_t seen = 0;  // of them, that the client had before
    MonoTime last_token;
    bool ended = false;
  };

  void Begin(ApiKind kind, const std::string& body);
  std::optional<ApiError> Prepare(ApiKind kind, const std::string& body);
  void Admit();
  void Settled(bool admitted);
  void LeaveAdmission();
  void StartStreams();
  GenerateSpec SpecFor(size_t prompt, uint32_t choice) const;
  void AddChoice(GenerateSpec spec, StreamStart start);
  void Show(uint32_t index, const StreamToken& token);
  // Before Admit, of an answer whose events carry ids.
  void Identify(const std::string& answer_id, int64_t created);
  void Continue(ResumedAnswer resumed);
  // What the records hold, then the streams.
  void StartResumed();
  void SetAlarm();
  void OnAlarm();
  void OnClosed(HttpClose why);
  void EndAll(void (StreamDriver::*how)());
  void Fail(const ApiError& error);
  void TooSlow();
  void Complete();
  void Over();
  MonoTime Now() const { return context_.cluster.clock->Now(); }

  const ServingContext& context_;
  const Caller caller_;
  const std::shared_ptr<HttpExchange> exchange_;
  Gate::Pass pass_;
  const MonoTime arrival_;
  const MonoTime deadline_;
  ApiRequest request_;
  TokenizedRequest tokens_;
  std::optional<AdmissionTicket> ticket_;
  std::unique_ptr<Answer> answer_;
  std::vector<std::unique_ptr<Choice>> choices_;
  uint64_t seed_ = 0;
  std::optional<Id128> root_;  // of the events' ids
  std::string card_;
  std::optional<ResumedAnswer> resumed_;
  MonoTime alarm_ = absl::InfiniteFuture();
  bool running_ = false;
  bool over_ = false;  // answered or closed
};

}  // namespace baton::router
