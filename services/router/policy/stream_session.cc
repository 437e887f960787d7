#include "services/router/policy/stream_session.h"

#include <algorithm>
#include <cmath>
#include <utility>

#include "absl/strings/str_cat.h"

namespace baton::router {

StreamSession::StreamSession(const SessionConfig& config, const SessionSpec& spec)
    : config_(config), spec_(spec), attempt_{.claim = spec.claim, .n = 0}, emission_(spec.emitted) {
  if (TokensOut()) over_ = EndedBy(spec.emitted.back());
}

SessionActions StreamSession::Start(MonoTime now) {
  if (state_ != State::kNew) return {};
  if (now >= spec_.deadline) return End(Fail{absl::DeadlineExceededError("the request ran out of time")});
  if (over_ != StreamFinish::kNone) return End(Finish{over_});
  SessionActions actions;
  PlaceNext(actions);
  return actions;
}

void StreamSession::PlaceNext(SessionActions& actions) {
  attempt_.n = ++last_n_;
  decoding_ = false;
  progressed_ = false;
  own_superseded_ = false;
  counts_.handoff = HandoffOutcome::kUnknown;
  emission_.Begin(attempt_);
  state_ = State::kPlacing;
  timer_ = absl::InfiniteFuture();
  actions.push_back(Place{attempt_, tried_});
}

SessionActions StreamSession::Placed(Attempt attempt, absl::StatusOr<Placement> placement, MonoTime now) {
  if (!Current(attempt) || state_ != State::kPlacing) return {};
  if (!placement.ok()) {
    if (placement.status().code() == absl::StatusCode::kUnavailable)
      return WaitForWorker(placement.status(), now);
    return End(Fail{placement.status()});
  }
  ++counts_.attempts;
  counts_.replays += emission_.counts().emitted > 0;
  placement_ = *placement;
  tried_.push_back(placement_.decode);
  if (placement_.prefill) tried_.push_back(*placement_.prefill);
  state_ = State::kOpening;
  timer_ = now + config_.accept_timeout;
  heard_ = now;
  decode_open_ = true;
  return {OpenDecode{attempt_, placement_.decode, placement_.prefill, emission_.emitted()}};
}

SessionActions StreamSession::DecodeAccepted(Attempt attempt, Epoch epoch, uint32_t cached_tokens,
                                             MonoTime now) {
  if (IsNext(attempt)) {
    move_->accepted = true;
    return {};
  }
  if (!Current(attempt) || state_ != State::kOpening) return {};
  state_ = State::kRunning;
  misses_ = 0;
  heard_ = now;
  timer_ = now + config_.first_token_timeout;
  counts_.decode_cached_tokens = cached_tokens;
  if (!placement_.prefill) return {};
  prefill_open_ = true;
  return {OpenPrefill{attempt_, *placement_.prefill, placement_.decode, epoch, emission_.emitted()}};
}

SessionActions StreamSession::OfferToken(Attempt attempt, const StreamToken& token, MonoTime now) {
  if (attempt == attempt_ && !Serving(attempt)) {
    emission_.CountStale();
    return {};
  }
  if (attempt == attempt_ && over_ != StreamFinish::kNone && token.position >= emission_.next_position())
    return AttemptBroken(absl::InternalError("a token came after the stream's end"), now);
  switch (emission_.Offer(attempt, token)) {
    case EmissionVerdict::kStale:
    case EmissionVerdict::kRepeated:
      return {};
    case EmissionVerdict::kGap:
      return AttemptBroken(
          absl::InternalError(absl::StrCat("a token was lost before position ", token.position)), now);
    case EmissionVerdict::kDiffers:
      return End(Fail{absl::InternalError(
          absl::StrCat("two workers disagree about the token at position ", token.position))});
    case EmissionVerdict::kEmit:
      break;
  }
  timer_ = now + config_.stall_timeout;
  progressed_ = true;
  failures_ = 0;
  refusals_ = 0;
  over_ = EndedBy(token.token);
  SessionActions actions{EmitToken{token}};
  if (over_ != StreamFinish::kNone && move_) AbandonMove(actions, absl::CancelledError("the stream is over"));
  return actions;
}

StreamFinish StreamSession::EndedBy(TokenId token) const {
  if (std::find(spec_.stop_tokens.begin(), spec_.stop_tokens.end(), token) != spec_.stop_tokens.end())
    return StreamFinish::kStopToken;
  return emission_.next_position() == spec_.max_tokens ? StreamFinish::kLength : StreamFinish::kNone;
}

SessionActions StreamSession::DecodeToken(Attempt attempt, const StreamToken& token, MonoTime now) {
  const char* const early = "a token came before the decode worker accepted the stream";
  SessionActions actions;
  if (IsNext(attempt)) {
    if (!move_->accepted) return AbandonMove(absl::InternalError(early));
    Promote(actions, now);
  }
  if (attempt == attempt_ && state_ == State::kOpening) return AttemptBroken(absl::InternalError(early), now);
  if (attempt == attempt_) {
    decoding_ = true;
    heard_ = now;
  }
  for (SessionAction& action : OfferToken(attempt, token, now)) actions.push_back(std::move(action));
  return actions;
}

SessionActions StreamSession::DecodeFinished(Attempt attempt, StreamFinish reason, HandoffOutcome kv,
                                             MonoTime now) {
  if (!Serving(attempt)) return {};
  if (counts_.handoff == HandoffOutcome::kUnknown) counts_.handoff = kv;
  if (!progressed_ || reason == StreamFinish::kNone) {
    return AttemptBroken(absl::InternalError("the decode worker finished without a result"), now);
  }
  return End(Finish{reason});
}

SessionActions StreamSession::DecodeEnded(Attempt attempt, const absl::Status& status, MonoTime now) {
  if (IsNext(attempt)) return NextEnded(status);
  if (!Serving(attempt)) return {};
  decode_open_ = false;
  if (status.ok())
    return AttemptBroken(absl::UnavailableError("the decode call ended before the stream did"), now);
  return AttemptBroken(status, now);
}

SessionActions StreamSession::PrefillFirstToken(Attempt attempt, const StreamToken& token,
                                                uint32_t cached_tokens, StreamFinish finish, MonoTime now) {
  const bool first = !TokensOut();
  SessionActions actions = OfferToken(attempt, token, now);
  if (!Serving(attempt)) return actions;
  if (first && TokensOut()) counts_.prefill_cached_tokens = cached_tokens;
  if (finish == StreamFinish::kNone || state_ != State::kRunning || !TokensOut()) return actions;
  for (SessionAction& action : End(Finish{finish})) actions.push_back(std::move(action));
  return actions;
}

SessionActions StreamSession::HandoffEnded(Attempt attempt, HandoffOutcome outcome) {
  if (Current(attempt) && counts_.handoff == HandoffOutcome::kUnknown) counts_.handoff = outcome;
  return {};
}

SessionActions StreamSession::PrefillEnded(Attempt attempt, const absl::Status& status, MonoTime now) {
  if (!Serving(attempt)) return {};
  prefill_open_ = false;
  if (progressed_) return {};
  if (status.ok() && counts_.handoff == HandoffOutcome::kLost) return {};
  if (status.ok())
    return AttemptBroken(absl::UnavailableError("the prefill call ended without a token"), now);
  return AttemptBroken(status, now);
}

SessionActions StreamSession::AttemptBroken(const absl::Status& status, MonoTime now) {
  if (over_ != StreamFinish::kNone) return End(Finish{over_});
  if (status.code() == absl::StatusCode::kAborted && !own_superseded_) return End(EndQuietly{});
  if (status.code() == absl::StatusCode::kInvalidArgument) return End(Fail{status});
  if (move_) return TakeOver(now);
  if (placement_.inexact && TokensOut()) return GiveUp(status);
  last_error_ = status;
  if (status.code() == absl::StatusCode::kResourceExhausted) return WaitForRoom(status, now);
  if (state_ == State::kOpening && status.code() == absl::StatusCode::kUnavailable)
    return WaitForWorker(status, now);
  if (progressed_) tried_ = {placement_.decode};
  if (++failures_ >= config_.max_attempts || counts_.replays >= config_.max_replays) return GiveUp(status);
  return BackOff(config_.retry_backoff * failures_, now);
}

SessionActions StreamSession::GiveUp(const absl::Status& status) {
  if (!TokensOut()) return End(Fail{status});
  return End(Fail{absl::UnavailableError(
      absl::StrCat("the stream broke after ", emission_.next_position(), " tokens: ", status.message()))});
}

SessionActions StreamSession::WorkerSilent(uint64_t worker, MonoTime now) {
  if (!Serving(attempt_)) return {};
  const bool decode = placement_.decode.worker == worker && now - heard_ >= config_.silence;
  const bool prefill = placement_.prefill && placement_.prefill->worker == worker && !progressed_;
  if (!decode && !prefill) return {};
  return AttemptBroken(absl::UnavailableError(
                           absl::StrCat("the ", decode ? "decode" : "prefill", " worker has fallen silent")),
                       now);
}

SessionActions StreamSession::WaitForRoom(const absl::Status& status, MonoTime now) {
  if (refusals_++ == 0) room_deadline_ = now + config_.capacity_timeout;
  if (now >= room_deadline_) return GiveUp(status);
  tried_ = {placement_.decode};
  return BackOff(std::min(GrowingPause(refusals_ - 1), room_deadline_ - now), now);
}

SessionActions StreamSession::WaitForWorker(const absl::Status& status, MonoTime now) {
  if (misses_++ == 0) worker_deadline_ = now + config_.no_worker_timeout;
  if (now < worker_deadline_)
    return BackOff(std::min(GrowingPause(misses_ - 1), worker_deadline_ - now), now);
  if (last_error_.ok() || last_error_ == status) return GiveUp(status);
  return GiveUp(
      absl::Status(last_error_.code(), absl::StrCat(last_error_.message(), "; then ", status.message())));
}

absl::Duration StreamSession::GrowingPause(uint32_t before) const {
  const double doublings = std::min<uint32_t>(before, 30);
  return std::min(config_.min_capacity_pause * std::exp2(doublings), config_.max_capacity_pause);
}

SessionActions StreamSession::BackOff(absl::Duration pause, MonoTime now) {
  SessionActions actions;
  CancelCalls(actions);
  state_ = State::kBackoff;
  timer_ = now + pause;
  return actions;
}

void StreamSession::CancelCalls(SessionActions& actions) {
  if (move_) AbandonMove(actions, absl::CancelledError("the stream is over"));
  if (std::exchange(prefill_open_, false)) actions.push_back(CancelPrefill{attempt_});
  if (std::exchange(decode_open_, false)) actions.push_back(CancelDecode{attempt_});
}

SessionActions StreamSession::End(SessionAction last) {
  if (done()) return {};
  SessionActions actions;
  CancelCalls(actions);
  actions.push_back(std::move(last));
  state_ = State::kDone;
  timer_ = absl::InfiniteFuture();
  return actions;
}

SessionActions StreamSession::StopStringFound() {
  return End(Finish{StreamFinish::kStopString});
}
SessionActions StreamSession::ClientGone() {
  return End(EndQuietly{});
}
SessionActions StreamSession::ReaderTooSlow() {
  return End(Fail{absl::CancelledError("the client reads its events too slowly")});
}
SessionActions StreamSession::ShutDown() {
  return End(Fail{absl::UnavailableError("the router is shutting down")});
}

SessionActions StreamSession::Tick(MonoTime now) {
  if (done() || now < NextDeadline()) return {};
  if (now >= spec_.deadline) return End(Fail{absl::DeadlineExceededError("the request ran out of time")});
  if (move_ && now >= move_->deadline)
    return AbandonMove(absl::DeadlineExceededError("the move took too long"));
  switch (state_) {
    case State::kBackoff: {
      SessionActions actions;
      PlaceNext(actions);
      return actions;
    }
    case State::kOpening:
      return AttemptBroken(absl::UnavailableError("the decode worker did not answer in time"), now);
    case State::kRunning:
      return AttemptBroken(absl::UnavailableError(progressed_ ? "no further token came in time"
                                                              : "no first token came in time"),
                           now);
    default:
      return {};
  }
}

MonoTime StreamSession::NextDeadline() const {
  if (done()) return absl::InfiniteFuture();
  const MonoTime due = std::min(timer_, spec_.deadline);
  return move_ ? std::min(due, move_->deadline) : due;
}

}  // namespace baton::router
