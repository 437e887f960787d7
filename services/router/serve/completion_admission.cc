// Completion's way in and out of the admission gate.
#include <algorithm>
#include <utility>

#include "services/router/serve/completion.h"

namespace baton::router {
namespace {

ApiError TryLater(const char* message, absl::Duration retry_after) {
  ApiError error = ErrorForHttpStatus(429, message);
  error.retry_after_s = static_cast<int>(absl::ToInt64Seconds(absl::Ceil(retry_after, absl::Seconds(1))));
  return error;
}

}  // namespace

void Completion::Admit() {
  Caller caller = caller_;
  if (resumed_) {  // it was counted when it began, and its client waits in the midst of it
    caller.priority = kMostUrgent;
    caller.limits = {};
  }
  const AdmissionGate::Request request{
      .prompt_tokens = tokens_.prompt_tokens * request_.n,
      .choices = tokens_.prompts.size() * request_.n,
      .most_tokens = *std::max_element(tokens_.max_tokens.begin(), tokens_.max_tokens.end()),
      .deadline = deadline_};
  const auto entered = context_.admission->Arrive(
      caller, request, [weak = weak_from_this(), exchange = exchange_](bool admitted) {
        exchange->Post([weak, admitted] {
          if (auto self = weak.lock()) self->Settled(admitted);
        });
      });
  if (entered.answer == AdmissionAnswer::kRejected) {
    const bool rate = entered.refusal == AdmissionGate::Refusal::kRequestRate;
    return Fail(TryLater(rate ? "the rate limit of this API key is reached; try again later"
                              : "the server is at its limit of requests; try again later",
                         entered.retry_after));
  }
  ticket_ = entered.ticket;
  if (entered.answer == AdmissionAnswer::kAdmitted) return StartStreams();
  SetAlarm();
}

void Completion::Settled(bool admitted) {
  if (over_ || running_) return;
  if (admitted) return StartStreams();
  Fail(
      TryLater("the request waited too long for a place; try again later", context_.admission->RetryAfter()));
}

void Completion::LeaveAdmission() {
  if (!ticket_) return;
  AdmissionGate::Used used{.tokens = running_ ? tokens_.prompt_tokens * request_.n : 0};
  for (const auto& choice : choices_) {
    used.tokens += choice->tokens;
    used.longest_answer = std::max(used.longest_answer, choice->tokens);
  }
  context_.admission->Leave(*ticket_, used);
  ticket_.reset();
}

}  // namespace baton::router
