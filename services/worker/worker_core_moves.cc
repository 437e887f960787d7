// WorkerCore's part in moves of prefix blocks: Share, the owner's side, and Fetch, the reader's.
#include <algorithm>

#include "absl/strings/str_cat.h"
#include "common/block_hash.h"
#include "services/worker/request_limits.h"
#include "services/worker/worker_core.h"

namespace baton {

absl::Status WorkerCore::AdmitMove(const Arrival& arrival, const PrefixMove& move, MonoTime now) {
  const RequestLimits limits{.max_context = options_.max_context, .vocab_size = options_.vocab_size};
  return Admit(arrival, CheckPrefix(move.tokens, limits), now);
}

WorkerCore::Job WorkerCore::MakeMoveJob(CallId id, const PrefixMove& move, CallKind kind, uint32_t rank,
                                        MonoTime now) const {
  Job job;
  job.call = id;
  job.stream = move.id;
  job.attempt = move.attempt;
  job.kind = kind;
  job.rank = rank;
  job.deadline = std::min(move.deadline, now + options_.max_call_time);
  job.tokens = static_cast<int64_t>(move.tokens.size());
  job.digest = TokenDigest(move.tokens);
  return job;
}

void WorkerCore::OnShare(CallId id, ShareCall call, MonoTime now) {
  PrefixMove& move = call.move;
  absl::Status admitted =
      AdmitMove({move.id, move.attempt, CallKind::kShare, call.rank, move.deadline}, move, now);
  if (!admitted.ok()) return Refuse(id, std::move(admitted));
  Job job = MakeMoveJob(id, move, CallKind::kShare, call.rank, now);
  job.state = State::kSharing;
  job.source.epoch = call.reader_epoch;
  job.source.rank = call.reader_rank;
  job.offered = move.tokens;
  const SeqId seq = AddJob(id, std::move(job));
  Engine(jobs_.at(seq), ShareCommand{seq, std::move(move.tokens), move.cache_salt});
}

void WorkerCore::OnFetch(CallId id, FetchCall call, MonoTime now) {
  PrefixMove& move = call.move;
  absl::Status admitted =
      AdmitMove({move.id, move.attempt, CallKind::kFetch, call.rank, move.deadline}, move, now);
  if (!admitted.ok()) return Refuse(id, std::move(admitted));
  Job job = MakeMoveJob(id, move, CallKind::kFetch, call.rank, now);
  job.state = State::kReserving;
  job.source = std::move(call.source);
  const SeqId seq = AddJob(id, std::move(job));
  Engine(jobs_.at(seq), FetchCommand{seq, std::move(move.tokens), move.cache_salt});
}

void WorkerCore::OnShared(SeqId seq, Job& job, SharedEvent& event, std::vector<uint64_t> checksums,
                          MonoTime now) {
  if (job.state != State::kSharing) return;
  Emit(job, PrefixShared{event.tokens});
  if (event.tokens == 0) {
    job.state = State::kOver;
    ++counters_.finished;
    Engine(job, ReleaseCommand{seq});
    return Abandon(seq, job, absl::OkStatus(), now);
  }
  job.state = State::kSealed;
  job.tokens = event.tokens;
  job.lease_open = true;
  by_lease_[job.handoff()] = seq;
  const std::vector<TokenId> offered = std::exchange(job.offered, {});
  Handoff(OwnBegin{job.handoff(), job.rank, job.source.epoch, job.source.rank, job.tokens, job.deadline});
  Handoff(
      OwnOffer{job.handoff(), 0, job.tokens, 0, event.layers, std::move(event.pages), std::move(checksums)});
  Handoff(OwnSeal{job.handoff(), TokenDigest(absl::MakeConstSpan(offered).first(job.tokens)), 0});
}

void WorkerCore::FinishFetch(SeqId seq, Job& job, KvOutcome outcome, std::string detail, MonoTime now) {
  const bool lost = outcome == KvOutcome::kLost;
  job.state = State::kOver;
  job.outcome = outcome;
  ++counters_.finished;
  if (lost) {
    Engine(job, CancelCommand{seq, !job.reads_open});
  } else {
    Engine(job, PublishCommand{seq});
  }
  Emit(job, PrefixFetched{outcome, job.cached_tokens, lost ? 0 : job.tokens - job.cached_tokens,
                          std::move(detail)});
  Abandon(seq, job, absl::OkStatus(), now);
}

}  // namespace baton
