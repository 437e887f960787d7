// WorkerCore's other half: what engines and the handoff report, and how a call ends.
#include <cmath>
#include <variant>

#include "absl/algorithm/container.h"
#include "absl/strings/str_cat.h"
#include "services/worker/worker_core.h"

namespace baton {
namespace {

std::vector<TokenScore> ScoresOf(const TokenEvent& event) {
  std::vector<TokenScore> scores = {{event.token, event.logprob}};
  for (const TopLogprob& top : event.top) scores.push_back({top.token, top.logprob});
  return scores;
}

void SetScores(const std::vector<TokenScore>& scores, TokenEvent& event) {
  if (scores.empty()) return;
  event.logprob = scores.front().logprob;
  event.top.clear();
  for (size_t i = 1; i < scores.size(); ++i) event.top.push_back({scores[i].token, scores[i].logprob});
}

bool AreScoresOf(TokenId first_token, const std::vector<TokenScore>& scores, int64_t vocab_size) {
  const auto possible = [&](const TokenScore& score) {
    return score.token >= 0 && score.token < vocab_size && !std::isnan(score.logprob);
  };
  return !scores.empty() && scores.front().token == first_token && absl::c_all_of(scores, possible);
}

}  // namespace

WorkerCore::Job* WorkerCore::Find(SeqId seq, uint32_t rank) {
  const auto it = jobs_.find(seq);
  return it == jobs_.end() || it->second.rank != rank || it->second.state == State::kOver ? nullptr
                                                                                          : &it->second;
}

void WorkerCore::OnEngineEvent(uint32_t rank, EngineEvent event, std::vector<uint64_t> checksums,
                               MonoTime now) {
  std::visit(
      [&](auto& e) {
        Job* job = Find(e.id, rank);
        if (job == nullptr) return;
        using E = std::decay_t<decltype(e)>;
        if constexpr (std::is_same_v<E, ComputedEvent>) {
          OnComputed(*job, e, std::move(checksums));
        } else if constexpr (std::is_same_v<E, SharedEvent>) {
          OnShared(e.id, *job, e, std::move(checksums), now);
        } else {
          On(e.id, *job, e, now);
        }
      },
      event);
}

void WorkerCore::On(SeqId seq, Job& job, TokenEvent& event, MonoTime now) {
  if (job.state != State::kRunning) return;
  const bool over = event.finish != FinishReason::kNone;
  if (over) job.state = State::kOver;
  if (event.position != job.next_position) {
    ++counters_.failed;
    const std::string what =
        absl::StrCat("the engine emitted position ", event.position, " instead of ", job.next_position);
    return Abandon(seq, job, absl::InternalError(what), now);
  }
  ++job.next_position;
  if (event.cached_tokens > job.cached_tokens) {
    job.cached_tokens = event.cached_tokens;
    records_.SetCached(job.stream, job.cached_tokens);
  }
  const bool adopted = event.position == job.adopted_position;
  if (adopted) SetScores(job.adopted_scores, event);
  Note(job, event, !adopted || !job.adopted_scores.empty());
  if (job.lingers() && !over && ++job.lingered >= options_.emission_buffer)
    return Abandon(seq, job, absl::OkStatus(), now);
  if (job.unsent >= options_.emission_buffer) {
    ++counters_.too_slow;
    const std::string what = absl::StrCat("reader too slow: ", job.unsent, " events wait to be taken");
    return Abandon(seq, job, absl::ResourceExhaustedError(what), now);
  }
  Emit(job,
       GeneratedToken{event.position, event.token, event.logprob, std::move(event.top), event.cached_tokens});
  if (!over) return;
  ++counters_.finished;
  Emit(job, DecodeFinished{event.finish, job.outcome, job.inexact});
  Abandon(seq, job, absl::OkStatus(), now);
}

void WorkerCore::On(SeqId seq, Job& job, ReservedEvent& event, MonoTime now) {
  if (job.state != State::kReserving) return;
  job.cached_tokens = event.cached_tokens;
  if (job.kind == CallKind::kFetch) {
    job.tokens = event.tokens;
    if (event.cached_tokens >= event.tokens) return FinishFetch(seq, job, KvOutcome::kLocal, "", now);
  } else {
    records_.SetCached(job.stream, event.cached_tokens);
    Emit(job, DecodeAccepted{event.cached_tokens});
  }
  job.state = State::kPulling;
  job.reads_open = true;
  by_pull_[job.handoff()] = seq;
  Handoff(PullBegin{.id = job.handoff(),
                    .owner = job.source,
                    .rank = job.rank,
                    .begin = event.cached_tokens,
                    .end = job.tokens,
                    .pages = std::move(event.pages),
                    .digest = job.digest,
                    .deadline = std::min(job.deadline, now + options_.pull_timeout)});
}

void WorkerCore::OnComputed(Job& job, ComputedEvent& event, std::vector<uint64_t> checksums) {
  if (job.state != State::kComputing || !job.lease_open || job.revoked) return;
  if (event.from_cache) job.cached_tokens = std::max(job.cached_tokens, event.end);
  const auto [begin, end] = Offerable(event.begin, event.end, job.tokens);
  if (begin == end) return;
  Handoff(OwnOffer{job.handoff(), begin, end, event.first_layer, event.end_layer, std::move(event.pages),
                   std::move(checksums)});
}

void WorkerCore::On(SeqId, Job& job, PrefilledEvent& event, MonoTime) {
  if (job.state != State::kComputing) return;
  job.state = State::kSealed;
  if (job.revoked) return;
  TokenEvent& first = event.first;
  Note(job, first, true);
  records_.SetCached(job.stream, job.cached_tokens);
  std::vector<TokenScore> scores = ScoresOf(first);
  Emit(job, PrefillFirstToken{{first.position, first.token, first.logprob, std::move(first.top)},
                              job.cached_tokens,
                              first.finish});
  Handoff(OwnSeal{job.handoff(), job.digest, first.token, std::move(scores)});
}

void WorkerCore::On(SeqId seq, Job& job, FailedEvent& event, MonoTime now) {
  ++counters_.failed;
  const bool refused = job.state == State::kReserving || job.state == State::kSharing;
  job.state = State::kOver;
  job.unserved = refused;
  absl::Status status =
      event.status.ok() ? absl::InternalError("the engine gave the sequence up") : event.status;
  Abandon(seq, job, std::move(status), now);
}

void WorkerCore::OnHandoffEvent(HandoffEvent event, MonoTime now) {
  std::visit(
      [&](const auto& e) {
        using E = std::decay_t<decltype(e)>;
        const auto& table = std::is_same_v<E, OwnEnded> ? by_lease_ : by_pull_;
        const auto it = table.find(e.id);
        if (it == table.end()) return;
        const SeqId seq = it->second;
        On(seq, jobs_.at(seq), e, now);
      },
      event);
}

void WorkerCore::On(SeqId seq, Job& job, const OwnEnded& event, MonoTime now) {
  job.lease_open = false;
  by_lease_.erase(job.handoff());
  ++(event.held ? counters_.owned_held : counters_.owned_lost);
  if (job.state == State::kComputing) {
    Engine(job, CancelCommand{seq, true});
  } else {
    Engine(job, ReleaseCommand{seq});
  }
  job.state = State::kOver;
  if (!job.open) return EraseIfSettled(seq);
  ++counters_.finished;
  Emit(job, PrefillHandoffEnded{event.held ? KvOutcome::kHeld : KvOutcome::kLost, event.reason});
  Abandon(seq, job, absl::OkStatus(), now);
}

void WorkerCore::On(SeqId seq, Job& job, const PullHeld& event, MonoTime now) {
  if (job.lost) return;
  ++counters_.pulled_held;
  counters_.pulled_inexact += event.inexact;
  EndReads(job);
  // A cache names its blocks by our fingerprint: what others computed has no place there.
  if (job.kind == CallKind::kFetch && job.state == State::kPulling && event.inexact)
    return FinishFetch(seq, job, KvOutcome::kLost, "the owner's blocks are of another fingerprint", now);
  if (job.kind == CallKind::kFetch && job.state == State::kPulling)
    return FinishFetch(seq, job, KvOutcome::kHeld, "", now);
  const bool is_token = event.first_token >= 0 && event.first_token < options_.vocab_size;
  if (job.state == State::kPulling && !is_token) {  // an owner that is wrong there is believed nothing else
    job.state = State::kRunning;
    job.outcome = KvOutcome::kLost;
    Engine(job, RecomputeCommand{seq, true});
  } else if (job.state == State::kPulling) {
    job.state = State::kRunning;
    job.outcome = KvOutcome::kHeld;
    job.inexact = event.inexact;
    job.adopted_position = job.next_position;
    if (AreScoresOf(event.first_token, event.scores, options_.vocab_size)) job.adopted_scores = event.scores;
    Engine(job, AdoptCommand{seq, event.first_token, !event.inexact});
  } else {
    Engine(job, FencedCommand{seq});
  }
  EraseIfSettled(seq);
}

void WorkerCore::On(SeqId seq, Job& job, const PullLost& event, MonoTime now) {
  if (job.lost) return;
  job.lost = true;
  ++counters_.pulled_lost;
  if (event.fenced) EndReads(job);
  if (job.kind == CallKind::kFetch && job.state == State::kPulling)
    return FinishFetch(seq, job, KvOutcome::kLost, std::string(event.status.message()), now);
  if (job.state == State::kPulling) {
    job.state = State::kRunning;
    job.outcome = KvOutcome::kLost;
    Engine(job, RecomputeCommand{seq, event.fenced});
  } else if (event.fenced) {
    Engine(job, FencedCommand{seq});
  }
  EraseIfSettled(seq);
}

void WorkerCore::On(SeqId seq, Job& job, const PullFenced&, MonoTime) {
  if (!job.lost) return;
  EndReads(job);
  Engine(job, FencedCommand{seq});
  EraseIfSettled(seq);
}

void WorkerCore::EndReads(Job& job) {
  job.reads_open = false;
  by_pull_.erase(job.handoff());
}

void WorkerCore::Emit(Job& job, CallEvent event) {
  if (!job.open) return;
  ++job.unsent;
  actions_.push_back(EmitEvent{job.call, std::move(event)});
}

void WorkerCore::Close(Job& job, absl::Status status, MonoTime now) {
  if (!job.open) return;
  job.open = false;
  by_call_.erase(job.call);
  attempts_.End(job.stream, job.attempt, job.kind, job.unserved, now);
  if (job.recorded) records_.Rest(job.stream, now);
  if (drain_.draining) ++drain_.ended;
  actions_.push_back(EndCall{job.call, std::move(status)});
}

void WorkerCore::Abandon(SeqId seq, Job& job, absl::Status status, MonoTime now) {
  Unlist(seq, job);
  Close(job, std::move(status), now);
  if (job.lease_open && !job.revoked) {
    job.revoked = true;
    Handoff(OwnRevoke{job.handoff(), "the request is over"});
  }
  if (job.reads_open && !job.lost && !job.cancelled) {
    job.cancelled = true;
    Handoff(PullCancel{job.handoff()});
  }
  // A prefill's pages stay until its lease has ended: then ReleaseCommand follows.
  if (job.state != State::kOver && job.state != State::kSealed) {
    Engine(job, CancelCommand{seq, !job.reads_open && !job.lease_open});
    job.state = State::kOver;
  }
  EraseIfSettled(seq);
}

void WorkerCore::EraseIfSettled(SeqId seq) {
  const auto it = jobs_.find(seq);
  const Job& job = it->second;
  if (!job.open && !job.reads_open && !job.lease_open && !job.lingers()) jobs_.erase(it);
}

}  // namespace baton
