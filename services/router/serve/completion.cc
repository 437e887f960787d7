#include "services/router/serve/completion.h"

#include <algorithm>
#include <utility>

#include "absl/strings/str_cat.h"
#include "absl/time/clock.h"
#include "common/block_hash.h"

namespace baton::router {
namespace {

constexpr absl::Duration kQueueCheck = absl::Seconds(1);

// As without tenants for those that have none; else nobody can name another's.
std::string TenantSalt(const std::string& tenant, const std::string& salt) {
  return tenant.empty() ? salt : absl::StrCat(tenant, absl::string_view("\0", 1), salt);
}

const char* FinishReason(const TextAssembler& text, StreamFinish finish) {
  return finish == StreamFinish::kLength && !text.stopped() ? "length" : "stop";
}

}  // namespace

void Completion::Serve(const ServingContext& context, Caller caller, ApiKind kind, std::string body,
                       std::shared_ptr<HttpExchange> exchange, Gate::Pass pass) {
  std::make_shared<Completion>(context, std::move(caller), std::move(exchange), std::move(pass))
      ->Begin(kind, body);
}

Completion::Completion(const ServingContext& context, Caller caller, std::shared_ptr<HttpExchange> exchange,
                       Gate::Pass pass)
    : context_(context),
      caller_(std::move(caller)),
      exchange_(std::move(exchange)),
      pass_(std::move(pass)),
      arrival_(context.cluster.clock->Now()),
      deadline_(arrival_ + context.request_timeout) {}

Completion::~Completion() {
  LeaveAdmission();
}

void Completion::Begin(ApiKind kind, const std::string& body) {
  if (auto error = Prepare(kind, body)) {
    over_ = true;
    context_.metrics->Answered(error->status);
    return exchange_->Respond(ErrorToHttp(*error));
  }
  exchange_->OnClosed([self = shared_from_this()](HttpClose why) { self->OnClosed(why); });
  const Id128 id = RandomId128();
  seed_ = request_.seed.value_or(id.hi ^ id.lo);
  const std::string name = absl::StrCat(kind == ApiKind::kChat ? "chatcmpl-" : "cmpl-", id.ToHex());
  const int64_t created = absl::ToUnixSeconds(absl::Now());
  AnswerFormat format(kind, name, created, context_.model_name, request_.top_logprobs >= 0,
                      request_.stream && request_.include_usage);
  answer_ =
      std::make_unique<Answer>(exchange_, std::move(format), request_, tokens_.prompts.size() * request_.n);
  if (request_.stream && context_.event_ids) Identify(name, created);
  Admit();
}

std::optional<ApiError> Completion::Prepare(ApiKind kind, const std::string& body) {
  if (auto error = ParseRequest(kind, body, context_.parse, request_)) return error;
  if (!request_.model.empty() && request_.model != context_.model_name) {
    ApiError error = ErrorForHttpStatus(
        404, absl::StrCat("the model '", request_.model, "' does not exist; this server has '",
                          context_.model_name, "'"));
    error.param = "model";
    error.code = "model_not_found";
    return error;
  }
  PromptLimits limits{.max_context = context_.model_context, .max_prompt_tokens = context_.max_prompt_tokens};
  if (const uint64_t workers = context_.cluster.registry->MaxContext()) {
    limits.max_context = std::min(limits.max_context, workers);
  }
  return TokenizeRequest(context_.text, limits, request_, tokens_);
}

// --- streams ---

GenerateSpec Completion::SpecFor(size_t prompt, uint32_t choice) const {
  const uint32_t index = static_cast<uint32_t>(prompt) * request_.n + choice;
  GenerateSpec spec{.stream = root_ ? ChoiceStream(*root_, index) : RandomId128(),
                    .prompt = tokens_.prompts[prompt],
                    .sampling = request_.sampling,
                    .max_tokens = tokens_.max_tokens[prompt],
                    .stop_tokens = request_.stop_token_ids,
                    .ignore_eos = request_.ignore_eos && request_.stop_token_ids.empty(),
                    .top_logprobs = request_.top_logprobs,
                    .cache_salt = CacheSalt(TenantSalt(caller_.tenant, request_.cache_salt)),
                    .card = card_,
                    .principal = caller_.id};
  spec.sampling.seed = seed_;
  spec.sampling.choice_index = choice;
  if (request_.ignore_eos) return spec;
  const auto& eos = context_.text.tokenizer->eos_tokens();
  spec.stop_tokens.insert(spec.stop_tokens.end(), eos.begin(), eos.end());
  return spec;
}

void Completion::AddChoice(GenerateSpec spec, StreamStart start) {
  const auto post = [exchange = exchange_](std::function<void()> task) { exchange->Post(std::move(task)); };
  TextAssembler text(*context_.text.tokenizer, request_.stop, spec.stop_tokens, request_.top_logprobs >= 0,
                     request_.return_token_ids);
  auto driver = std::make_shared<StreamDriver>(context_.cluster, context_.session, deadline_,
                                               static_cast<uint32_t>(choices_.size()), std::move(spec),
                                               shared_from_this(), post, std::move(start));
  choices_.push_back(std::make_unique<Choice>(Choice{std::move(driver), std::move(text)}));
}

void Completion::StartStreams() {
  running_ = true;
  if (resumed_) return StartResumed();
  context_.metrics->PromptTokens(tokens_.prompt_tokens);
  for (size_t prompt = 0; prompt < tokens_.prompts.size(); ++prompt) {
    for (uint32_t i = 0; i < request_.n; ++i) AddChoice(SpecFor(prompt, i), {});
  }
  for (size_t i = 0; i < choices_.size() && !over_; ++i) choices_[i]->driver->Start();
  SetAlarm();
}

void Completion::OnStreamToken(uint32_t index, const StreamToken& token) {
  if (over_) return;
  Choice& choice = *choices_[index];
  if (choice.text.stopped()) return;
  const MonoTime now = Now();
  if (choice.tokens == 0) {
    context_.metrics->FirstToken(now - arrival_);
    if (ticket_) context_.admission->FirstToken(*ticket_);
  } else {
    context_.metrics->NextToken(now - choice.last_token);
  }
  choice.last_token = now;
  Show(index, token);
}

void Completion::Show(uint32_t index, const StreamToken& token) {
  Choice& choice = *choices_[index];
  if (choice.tokens++ == 0) {
    answer_->set_fingerprint(choice.driver->fingerprint());
    if (choice.driver->inexact()) answer_->MarkInexact();
  }
  TextPiece piece = choice.text.Append(token);
  if (choice.tokens <= choice.seen) piece = {};
  answer_->SetHolders(index, choice.driver->holders());
  if (request_.return_token_ids) answer_->SetWorkers(index, choice.driver->workers());
  answer_->Reached(index, static_cast<uint32_t>(choice.tokens));
  if (!answer_->Add(index, std::move(piece))) return TooSlow();
  if (answer_->held_bytes() > context_.max_answer_bytes) {
    return Fail(InvalidRequest("the answer is too large to be given whole; use stream, or ask for less",
                               "stream", "answer_too_large"));
  }
  if (choice.text.stopped()) choice.driver->StopStringFound();
}

void Completion::OnStreamEnd(uint32_t index, const StreamEnd& end) {
  Choice& choice = *choices_[index];
  if (std::exchange(choice.ended, true)) return;
  context_.metrics->StreamEnded(choice.driver->session(), !end.status.ok());
  if (choice.driver->inexact() && choice.tokens > 0) {
    context_.metrics->Inexact();
    answer_->MarkInexact();
  }
  if (over_) return;
  if (!end.status.ok()) return Fail(ErrorForStatus(end.status));
  if (end.finish == StreamFinish::kNone) {
    Over();
    return answer_->Abort();
  }
  TextPiece last = choice.text.Flush();  // may find a stop string
  if (!answer_->Finish(index, std::move(last), FinishReason(choice.text, end.finish))) return TooSlow();
  const bool all = std::all_of(choices_.begin(), choices_.end(), [](const auto& one) { return one->ended; });
  if (all) Complete();
}

// --- ends ---

void Completion::Complete() {
  Usage usage{.prompt_tokens = tokens_.prompt_tokens};
  if (resumed_) {
    for (const ResumePlan& plan : resumed_->choices)
      usage.cached_tokens = std::max<uint64_t>(usage.cached_tokens, plan.cached_tokens);
  }
  for (const auto& choice : choices_) {
    const SessionCounts& counts = choice->driver->session().counts();
    usage.completion_tokens += choice->tokens;
    usage.cached_tokens = std::max<uint64_t>(
        usage.cached_tokens, std::max(counts.prefill_cached_tokens, counts.decode_cached_tokens));
  }
  Over();
  context_.metrics->Answered(200);
  answer_->Complete(usage);
}

void Completion::Fail(const ApiError& error) {
  const auto self = shared_from_this();
  Over();
  context_.metrics->Answered(error.status);
  answer_->Fail(error);
}

void Completion::TooSlow() {
  const auto self = shared_from_this();
  context_.metrics->ReaderTooSlow();
  over_ = true;
  EndAll(&StreamDriver::ReaderTooSlow);
  Over();
  answer_->Abort();
}

// Nothing more will be written but the caller's last words: what still runs is cancelled, the place given up.
void Completion::Over() {
  over_ = true;
  EndAll(&StreamDriver::ClientGone);
  LeaveAdmission();
}

void Completion::EndAll(void (StreamDriver::*how)()) {
  for (const auto& choice : choices_) ((*choice->driver).*how)();
}

void Completion::OnClosed(HttpClose why) {
  if (over_) return;
  if (why == HttpClose::kServerStopping) return Fail(ErrorForHttpStatus(503, "the router is shutting down"));
  if (why == HttpClose::kClientGone) context_.metrics->ClientGone();
  if (why == HttpClose::kWriteTimeout) context_.metrics->ReaderTooSlow();
  Over();
}

void Completion::SetAlarm() {
  if (over_) return;
  MonoTime when = deadline_;
  if (!running_) when = std::min(when, Now() + kQueueCheck);
  for (const auto& choice : choices_) when = std::min(when, choice->driver->session().NextDeadline());
  if (when >= alarm_) return;  // it will be set anew when it goes off
  alarm_ = when;
  exchange_->SetAlarm(when, [self = shared_from_this()] { self->OnAlarm(); });
}

void Completion::OnAlarm() {
  if (over_) return;
  alarm_ = absl::InfiniteFuture();
  if (!running_) {
    context_.admission->Tick();
    if (Now() >= deadline_) return Settled(false);
  }
  for (size_t i = 0; i < choices_.size() && !over_; ++i) choices_[i]->driver->Tick();
  SetAlarm();
}

}  // namespace baton::router
