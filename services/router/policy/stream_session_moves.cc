// StreamSession's other half: a stream's move to another rank.
#include <algorithm>
#include <utility>

#include "absl/strings/str_cat.h"
#include "services/router/policy/stream_session.h"

namespace baton::router {

absl::Status StreamSession::CanMove() const {
  if (done() || over_ != StreamFinish::kNone) return absl::FailedPreconditionError("the stream is over");
  if (move_) return absl::FailedPreconditionError("the stream is being moved already");
  if (state_ != State::kRunning || !decoding_) {
    return absl::FailedPreconditionError("the stream has not begun to decode yet");
  }
  if (placement_.inexact)
    return absl::FailedPreconditionError("the stream is inexact: elsewhere it would go on otherwise");
  return absl::OkStatus();
}

SessionActions StreamSession::Move(RankRef target, MonoTime now) {
  absl::Status can = CanMove();
  if (can.ok() && target == placement_.decode)
    can = absl::FailedPreconditionError("the stream is at that rank already");
  if (!can.ok()) return {MoveEnded{std::move(can)}};
  move_ = Moving{.target = target, .deadline = now + config_.move_timeout};
  SessionActions actions;
  StartRound(actions);
  return actions;
}

void StreamSession::StartRound(SessionActions& actions) {
  ++round_;
  ++move_->rounds;
  move_->phase = Moving::Phase::kSharing;
  move_->covered = emission_.next_position();
  actions.push_back(OpenShare{round_, placement_.decode, move_->target, emission_.emitted()});
}

SessionActions StreamSession::PrefixShared(uint32_t round, uint32_t tokens, MonoTime) {
  if (!InRound(round, Moving::Phase::kSharing)) return {};
  SessionActions actions;
  if (tokens == 0) {  // evicted, or no prefix cache: the target computes it all
    Switch(actions);
    return actions;
  }
  move_->phase = Moving::Phase::kFetching;
  actions.push_back(OpenFetch{round, move_->target, placement_.decode, tokens, emission_.emitted()});
  return actions;
}

SessionActions StreamSession::ShareEnded(uint32_t round, const absl::Status& status, MonoTime) {
  if (!InRound(round, Moving::Phase::kSharing)) return {};
  return AbandonMove(status.ok()
                         ? absl::UnavailableError("the share ended without a word")
                         : absl::Status(status.code(), absl::StrCat("at the source: ", status.message())));
}

SessionActions StreamSession::PrefixFetched(uint32_t round, HandoffOutcome outcome, MonoTime) {
  if (!InRound(round, Moving::Phase::kFetching)) return {};
  const bool lost = outcome == HandoffOutcome::kLost;
  ++(lost ? counts_.fetches_lost : counts_.fetches_held);
  SessionActions actions;
  const uint32_t fresh = emission_.next_position() - move_->covered;
  if (!lost && fresh >= config_.move_tail_tokens && move_->rounds < config_.move_rounds) {
    StartRound(actions);
  } else {
    Switch(actions);
  }
  return actions;
}

SessionActions StreamSession::FetchEnded(uint32_t round, const absl::Status& status, MonoTime) {
  if (!InRound(round, Moving::Phase::kFetching)) return {};
  if (status.code() == absl::StatusCode::kFailedPrecondition) {  // no prefix cache there: it computes it all
    SessionActions actions;
    Switch(actions);
    return actions;
  }
  return AbandonMove(status.ok()
                         ? absl::UnavailableError("the fetch ended without a word")
                         : absl::Status(status.code(), absl::StrCat("at the target: ", status.message())));
}

void StreamSession::Switch(SessionActions& actions) {
  move_->phase = Moving::Phase::kSwitching;
  move_->next = {.claim = spec_.claim, .n = ++last_n_};
  own_superseded_ |= move_->target.worker == placement_.decode.worker;
  actions.push_back(
      OpenDecode{move_->next, move_->target, std::nullopt, emission_.emitted(), /*moved=*/true});
}

void StreamSession::Promote(SessionActions& actions, MonoTime now) {
  if (std::exchange(prefill_open_, false)) actions.push_back(CancelPrefill{attempt_});
  if (std::exchange(decode_open_, false)) actions.push_back(CancelDecode{attempt_});
  const Moving moved = *std::exchange(move_, std::nullopt);
  attempt_ = moved.next;
  emission_.Begin(attempt_);
  placement_ = {.decode = moved.target};
  decode_open_ = true;
  decoding_ = false;
  progressed_ = false;
  heard_ = now;
  own_superseded_ = false;
  state_ = moved.accepted ? State::kRunning : State::kOpening;
  timer_ = now + (moved.accepted ? config_.stall_timeout : config_.accept_timeout);
  ++counts_.moves;
  actions.push_back(MoveEnded{});
}

SessionActions StreamSession::TakeOver(MonoTime now) {
  SessionActions actions;
  if (move_->phase != Moving::Phase::kSwitching) {
    actions.push_back(CancelMove{round_});
    Switch(actions);
  }
  Promote(actions, now);
  return actions;
}

SessionActions StreamSession::NextEnded(const absl::Status& status) {
  if (status.code() == absl::StatusCode::kAborted) return End(EndQuietly{});
  return AbandonMove(status.ok()
                         ? absl::UnavailableError("the target ended the stream's call")
                         : absl::Status(status.code(), absl::StrCat("at the target: ", status.message())));
}

SessionActions StreamSession::AbandonMove(absl::Status status) {
  SessionActions actions;
  AbandonMove(actions, std::move(status));
  return actions;
}

void StreamSession::AbandonMove(SessionActions& actions, absl::Status status) {
  const Moving moving = *std::exchange(move_, std::nullopt);
  if (moving.phase == Moving::Phase::kSwitching) {
    actions.push_back(CancelDecode{moving.next});
  } else {
    actions.push_back(CancelMove{round_});
  }
  ++counts_.moves_failed;
  actions.push_back(MoveEnded{std::move(status)});
}

}  // namespace baton::router
