// Completion's part in streams that outlive their router: answers that can be resumed, and that are.
#include <algorithm>
#include <utility>

#include "services/router/serve/completion.h"

namespace baton::router {

void Completion::Identify(const std::string& answer_id, int64_t created) {
  const size_t choices = tokens_.prompts.size() * request_.n;
  if (choices > kMaxResumableChoices) return;
  root_ = RandomId128();
  answer_->IdentifyEvents({.root = *root_, .choices = std::vector<ChoiceMark>(choices)});
  card_ = EncodeCard({.answer_id = answer_id,
                      .created = created,
                      .chat = request_.kind == ApiKind::kChat,
                      .model = context_.model_name,
                      .include_usage = request_.include_usage,
                      .return_token_ids = request_.return_token_ids,
                      .stop = request_.stop,
                      .prompt_tokens = tokens_.prompt_tokens});
}

void Completion::Resume(const ServingContext& context, Caller caller, ResumedAnswer resumed,
                        std::shared_ptr<HttpExchange> exchange, Gate::Pass pass) {
  std::make_shared<Completion>(context, std::move(caller), std::move(exchange), std::move(pass))
      ->Continue(std::move(resumed));
}

// As if the request had come again, but for what the client has of its answer.
void Completion::Continue(ResumedAnswer resumed) {
  exchange_->OnClosed([self = shared_from_this()](HttpClose why) { self->OnClosed(why); });
  context_.metrics->Resumed();
  const StreamCard& card = resumed.card;
  request_.kind = card.chat ? ApiKind::kChat : ApiKind::kCompletion;
  request_.stream = true;
  request_.include_usage = card.include_usage;
  request_.return_token_ids = card.return_token_ids;
  request_.stop = card.stop;
  request_.top_logprobs = resumed.choices.front().spec.top_logprobs;
  request_.max_tokens = 0;
  for (const ResumePlan& plan : resumed.choices) {
    tokens_.prompts.push_back(plan.spec.prompt);
    tokens_.max_tokens.push_back(plan.spec.max_tokens);
    request_.max_tokens = std::max(*request_.max_tokens, plan.spec.max_tokens);
  }
  tokens_.prompt_tokens = card.prompt_tokens;
  root_ = resumed.id.root;
  answer_ =
      std::make_unique<Answer>(exchange_,
                               AnswerFormat(request_.kind, card.answer_id, card.created, context_.model_name,
                                            request_.top_logprobs >= 0, request_.include_usage),
                               request_, resumed.choices.size());
  answer_->IdentifyEvents(resumed.id);
  resumed_ = std::move(resumed);
  Admit();
}

void Completion::StartResumed() {
  const auto self = shared_from_this();
  for (size_t i = 0; i < resumed_->choices.size(); ++i) {
    ResumePlan& plan = resumed_->choices[i];
    StreamStart start{.claim = resumed_->id.claim, .live = plan.live, .fingerprint = plan.fingerprint};
    for (const StreamToken& token : plan.tokens) start.emitted.push_back(token.token);
    AddChoice(std::move(plan.spec), std::move(start));
    choices_.back()->seen = resumed_->id.choices[i].tokens;
    choices_.back()->last_token = Now();
    if (plan.inexact) answer_->MarkInexact();
  }
  for (uint32_t i = 0; i < choices_.size() && !over_; ++i) {
    for (const StreamToken& token : resumed_->choices[i].tokens) {
      if (over_ || choices_[i]->text.stopped()) break;
      Show(i, token);
    }
    if (!over_) choices_[i]->driver->Start();
  }
  SetAlarm();
}

}  // namespace baton::router
