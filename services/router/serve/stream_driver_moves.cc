// StreamDriver's other half: a stream's move to another rank.
#include <utility>
#include <variant>

#include "services/router/serve/stream_driver.h"

namespace baton::router {

void StreamDriver::RequestMove(RankRef target, MoveDone done) {
  post_([weak = weak_from_this(), target, done = std::move(done)] {
    if (auto self = weak.lock()) return self->BeginMove(target, done);
    done(absl::NotFoundError("the stream is over"));
  });
}

void StreamDriver::BeginMove(RankRef target, MoveDone done) {
  if (absl::Status can = session_.CanMove(); !can.ok()) return done(std::move(can));
  if (target == session_.decode_rank())
    return done(absl::FailedPreconditionError("the stream is at that rank already"));
  auto placed = cluster_.registry->PlaceAt(target, fingerprint_, 0);
  if (!placed.ok()) return done(placed.status());
  target_ = *std::move(placed);
  move_done_ = std::move(done);
  Execute(session_.Move(target, Now()));
}

MoveParameters StreamDriver::Moving(uint32_t round, RankRef target,
                                    const std::vector<TokenId>& emitted) const {
  MoveParameters parameters{.id = move_id_,
                            .round = {.claim = session_.attempt().claim, .n = round},
                            .tokens = *spec_.prompt,
                            .cache_salt = spec_.cache_salt,
                            .rank = target.rank};
  parameters.tokens.insert(parameters.tokens.end(), emitted.begin(), emitted.end());
  return parameters;
}

void StreamDriver::Do(const OpenShare& open) {
  share_ = cluster_.calls->Share(placed_.decode.endpoint, Moving(open.round, open.source, open.emitted),
                                 open.reader.rank, target_->kv.epoch,
                                 ToStrand(open.round, &StreamDriver::OnShare));
}

void StreamDriver::Do(const OpenFetch& open) {
  MoveParameters parameters = Moving(open.round, open.target, open.emitted);
  if (open.tokens < parameters.tokens.size()) parameters.tokens.resize(open.tokens);
  fetch_ =
      cluster_.calls->Fetch(target_->endpoint, parameters, KvSourceRank{placed_.decode.kv, open.source.rank},
                            ToStrand(open.round, &StreamDriver::OnFetch));
}

void StreamDriver::Do(const CancelMove&) {
  share_.reset();
  fetch_.reset();
}

void StreamDriver::Do(const MoveEnded& ended) {
  share_.reset();
  fetch_.reset();
  if (ended.status.ok()) {
    decode_ = std::move(next_decode_);
    placed_.decode = *std::move(target_);
    placed_.feedback.Moved(placed_.decode.ref, Now());
  }
  next_decode_.reset();
  target_.reset();
  Publish();  // before anyone is told, so that who is told sees it
  if (auto done = std::exchange(move_done_, nullptr)) done(ended.status);
}

void StreamDriver::OnShare(uint32_t round, const ShareMessage& message) {
  if (const auto* shared = std::get_if<SharedMessage>(&message)) {
    Execute(session_.PrefixShared(round, shared->tokens, Now()));
  } else if (const auto* ended = std::get_if<EndedMessage>(&message)) {
    Execute(session_.ShareEnded(round, ended->status, Now()));
  }
}

void StreamDriver::OnFetch(uint32_t round, const FetchMessage& message) {
  if (const auto* fetched = std::get_if<FetchedMessage>(&message)) {
    Execute(session_.PrefixFetched(round, fetched->outcome, Now()));
  } else {
    Execute(session_.FetchEnded(round, std::get<EndedMessage>(message).status, Now()));
  }
}

}  // namespace baton::router
