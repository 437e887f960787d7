#include "services/router/serve/stream_driver.h"

#include <algorithm>
#include <utility>

namespace baton::router {
namespace {

constexpr absl::Duration kLongestCall = absl::Hours(24);

template <typename... Cases>
struct Overloaded : Cases... {
  using Cases::operator()...;
};
template <typename... Cases>
Overloaded(Cases...) -> Overloaded<Cases...>;

}  // namespace

StreamDriver::StreamDriver(const Cluster& cluster, const SessionConfig& config, MonoTime deadline,
                           uint32_t choice, GenerateSpec spec, std::weak_ptr<StreamListener> listener,
                           Post post, StreamStart start)
    : cluster_(cluster),
      deadline_(deadline),
      choice_(choice),
      spec_(std::move(spec)),
      listener_(std::move(listener)),
      post_(std::move(post)),
      session_(config, {.stream = spec_.stream,
                        .claim = start.claim,
                        .deadline = deadline,
                        .max_tokens = spec_.max_tokens,
                        .stop_tokens = spec_.ignore_eos ? std::vector<TokenId>() : spec_.stop_tokens,
                        .emitted = std::move(start.emitted)}),
      fingerprint_(std::move(start.fingerprint)),
      live_(start.live) {}

StreamDriver::~StreamDriver() {
  if (move_done_) move_done_(absl::CancelledError("the stream is over"));
}

void StreamDriver::Start() {
  entry_ = cluster_.streams->Add(spec_.stream, weak_from_this());
  Execute(session_.Start(Now()));
}

// Actions of events that arise while others are carried out wait their turn.
void StreamDriver::Execute(SessionActions actions) {
  for (SessionAction& action : actions) actions_.push_back(std::move(action));
  if (executing_) return;
  executing_ = true;
  const auto self = shared_from_this();
  while (!actions_.empty()) {
    const SessionAction action = std::move(actions_.front());
    actions_.pop_front();
    std::visit([this](const auto& one) { Do(one); }, action);
  }
  executing_ = false;
  Publish();
  if (session_.done()) return;
  if (auto listener = listener_.lock()) listener->OnStreamDeadline();
}

void StreamDriver::Publish() {
  if (session_.done()) {
    entry_ = StreamTable::Entry();
    return;
  }
  entry_.Set({.at = session_.decode_rank(),
              .prefill_worker = placed_.prefill ? placed_.prefill->ref.worker : 0,
              .worker = placed_.decode.worker_name,
              .prompt_tokens = static_cast<uint32_t>(spec_.prompt->size()),
              .tokens = session_.emission().next_position(),
              .movable = session_.CanMove()});
}

void StreamDriver::Do(const Place& place) {
  placed_ = PlacedStream();
  if (PlaceAtLive(place.attempt)) return;
  std::vector<TokenId> tokens = *spec_.prompt;
  const std::vector<TokenId>& emitted = session_.emission().emitted();
  tokens.insert(tokens.end(), emitted.begin(), emitted.end());
  auto placed = cluster_.registry->Place({.prompt_tokens = static_cast<uint32_t>(tokens.size()),
                                          .max_new_tokens = spec_.max_tokens,
                                          .avoid = place.avoid,
                                          .fingerprint = emitted.empty() ? std::string() : fingerprint_},
                                         spec_.cache_salt, tokens);
  if (!placed.ok()) return Execute(session_.Placed(place.attempt, placed.status(), Now()));
  placed_ = *std::move(placed);
  fingerprint_ = placed_.fingerprint;
  inexact_ = placed_.placement.inexact;
  Execute(session_.Placed(place.attempt, placed_.placement, Now()));
}

CallParameters StreamDriver::Parameters(Attempt attempt, RankRef target,
                                        const std::vector<TokenId>& emitted) const {
  const absl::Duration left = std::clamp(deadline_ - Now(), absl::Milliseconds(1), kLongestCall);
  return {.attempt = attempt, .emitted = emitted, .rank = target.rank, .timeout = left};
}

void StreamDriver::Do(const OpenDecode& open) {
  std::optional<KvSourceRank> source;
  if (open.source) source = KvSourceRank{placed_.prefill->kv, open.source->rank};
  const PlacedRank& at = open.moved ? *target_ : placed_.decode;
  if (!open.moved) decode_over_ = false;
  if (!open.moved && std::exchange(resuming_, false)) return OpenResume(open);
  auto call = cluster_.calls->Decode(at.endpoint, spec_, Parameters(open.attempt, open.target, open.emitted),
                                     source, ToStrand(open.attempt, &StreamDriver::OnDecode));
  if (open.moved) next_attempt_ = open.attempt;
  (open.moved ? next_decode_ : decode_) = std::move(call);
}

void StreamDriver::Do(const OpenPrefill& open) {
  prefill_ = cluster_.calls->Prefill(placed_.prefill->endpoint, spec_,
                                     Parameters(open.attempt, open.target, open.emitted), open.reader,
                                     open.reader_epoch, ToStrand(open.attempt, &StreamDriver::OnPrefill));
}

void StreamDriver::Do(const CancelDecode& cancel) {
  if (next_decode_ != nullptr && cancel.attempt == next_attempt_) {
    StopDecode(target_->endpoint, cancel.attempt);
    std::exchange(next_decode_, nullptr)->Cancel();
    return;
  }
  if (!decode_over_) StopDecode(placed_.decode.endpoint, cancel.attempt);
  if (auto call = std::exchange(decode_, nullptr)) call->Cancel();
  placed_.decode.charge.Release();
}

void StreamDriver::Do(const CancelPrefill&) {
  if (auto call = std::exchange(prefill_, nullptr)) call->Cancel();
  if (placed_.prefill) placed_.prefill->charge.Release();
}

void StreamDriver::Do(const EmitToken& emit) {
  if (emit.token.position == 0) {
    placed_.decode.charge.TokensComputed();
    if (placed_.prefill) placed_.prefill->charge.TokensComputed();
  }
  placed_.feedback.Token(session_.counts().prefill_cached_tokens, Now());
  if (auto listener = listener_.lock()) listener->OnStreamToken(choice_, emit.token);
}

void StreamDriver::Do(const Finish& finish) {
  End({.finish = finish.reason});
}
void StreamDriver::Do(const Fail& fail) {
  End({.status = fail.status});
}
void StreamDriver::Do(const EndQuietly&) {
  End({});
}

void StreamDriver::End(const StreamEnd& end) {
  if (end.status.ok()) placed_.feedback.Finished(Now());
  placed_ = PlacedStream();
  if (auto listener = listener_.lock()) listener->OnStreamEnd(choice_, end);
}

void StreamDriver::WorkerSilent(uint64_t worker) {
  post_([weak = weak_from_this(), worker] {
    if (auto self = weak.lock()) self->Execute(self->session_.WorkerSilent(worker, self->Now()));
  });
}

// Before the session hears of it: the next place is chosen by what is known then.
template <typename Message>
void StreamDriver::NoteCall(uint64_t worker, const Message& message) {
  const auto* const ended = std::get_if<EndedMessage>(&message);
  if (ended == nullptr) return cluster_.registry->CallWorked(worker);
  if (absl::IsUnavailable(ended->status)) cluster_.registry->CallFailed(worker);
}

void StreamDriver::OnDecode(Attempt attempt, const DecodeMessage& message) {
  const MonoTime now = Now();
  const bool current = attempt == session_.attempt() && !session_.done();
  if (current && !std::holds_alternative<TokenMessage>(message)) NoteCall(placed_.decode.ref.worker, message);
  if (std::holds_alternative<AcceptedMessage>(message)) KeepElsewhere();
  decode_over_ |= attempt == session_.attempt() && (std::holds_alternative<FinishedMessage>(message) ||
                                                    std::holds_alternative<EndedMessage>(message));
  Execute(std::visit(
      Overloaded{
          [&](const AcceptedMessage& accepted) {
            return session_.DecodeAccepted(attempt, accepted.epoch, accepted.cached_tokens, now);
          },
          [&](const TokenMessage& token) {
            session_.DecodeCached(attempt, token.cached_tokens);
            return session_.DecodeToken(attempt, token.token, now);
          },
          [&](const FinishedMessage& finished) {
            inexact_ |= finished.inexact && attempt == session_.attempt();
            return session_.DecodeFinished(attempt, finished.reason, finished.kv, now);
          },
          [&](const EndedMessage& ended) { return session_.DecodeEnded(attempt, ended.status, now); },
      },
      message));
}

void StreamDriver::OnPrefill(Attempt attempt, const PrefillMessage& message) {
  const MonoTime now = Now();
  if (attempt == session_.attempt() && placed_.prefill) {
    NoteCall(placed_.prefill->ref.worker, message);
    if (std::holds_alternative<EndedMessage>(message)) placed_.prefill->charge.Release();
  }
  Execute(std::visit(
      Overloaded{
          [&](const FirstTokenMessage& first) {
            return session_.PrefillFirstToken(attempt, first.token, first.cached_tokens, first.finish, now);
          },
          [&](const HandoffMessage& handoff) { return session_.HandoffEnded(attempt, handoff.outcome); },
          [&](const EndedMessage& ended) { return session_.PrefillEnded(attempt, ended.status, now); },
      },
      message));
}

}  // namespace baton::router
