// WorkerCore's part in streams that outlive their router: records, sequences that linger without a call, and
// who takes them over.
#include <algorithm>
#include <utility>

#include "absl/strings/str_cat.h"
#include "services/worker/worker_core.h"

namespace baton {

void WorkerCore::Keep(SeqId seq, RecordedRequest request, absl::Span<const TokenId> emitted, MonoTime now) {
  Job& job = jobs_.at(seq);
  job.recorded = !request.spec.empty();
  if (!job.recorded) return;
  records_.Open(job.stream, job.attempt, std::move(request), emitted, now);
  if (job.kind == CallKind::kDecode) live_[job.stream] = seq;
}

void WorkerCore::Note(const Job& job, const TokenEvent& event, bool scored) {
  if (!job.recorded) return;
  records_.Append(job.stream, {event.position, event.token, event.logprob, event.top}, scored);
  if (event.finish != FinishReason::kNone) records_.Finish(job.stream, event.finish, job.inexact);
}

bool WorkerCore::MayLinger(const Job& job) const {
  return job.recorded && job.kind == CallKind::kDecode && job.state == State::kRunning && !job.reads_open &&
         !drain_.draining && options_.linger_time > absl::ZeroDuration();
}

void WorkerCore::Linger(Job& job, MonoTime now) {
  ++counters_.lingered;
  Close(job, absl::CancelledError("the call was cancelled or its connection lost"), now);
  job.linger_until = std::min(now + options_.linger_time, job.deadline);
  job.lingered = 0;
  job.unsent = 0;
}

void WorkerCore::EndLingering(bool all, MonoTime now) {
  std::vector<SeqId> over;
  for (const auto& [stream, seq] : live_) {
    const Job& job = jobs_.at(seq);
    if (job.lingers() && (all || job.linger_until <= now)) over.push_back(seq);
  }
  std::sort(over.begin(), over.end());
  for (const SeqId seq : over) Abandon(seq, jobs_.at(seq), absl::OkStatus(), now);
}

void WorkerCore::Unlist(SeqId seq, Job& job) {
  job.linger_until = absl::InfinitePast();
  const auto it = live_.find(job.stream);
  if (it != live_.end() && it->second == seq) live_.erase(it);
}

void WorkerCore::OnResume(CallId id, const ResumeCall& call, MonoTime now) {
  const RecordedStream* record = records_.Find(call.stream, call.principal);
  if (record == nullptr) return Refuse(id, absl::NotFoundError("no record of this stream is here"));
  if (open_calls() >= options_.max_calls)
    return Refuse(id, absl::ResourceExhaustedError("queue full: too many open calls"));
  bool raised = false;
  absl::Status seen = attempts_.See(call.stream, call.attempt, CallKind::kDecode, now, &raised);
  if (absl::IsAborted(seen)) ++counters_.superseded;
  if (!seen.ok()) return Refuse(id, std::move(seen));
  const auto live = live_.find(call.stream);
  const int64_t behind = static_cast<int64_t>(record->tokens.size()) - call.position;
  const bool known = call.position >= 0 && behind >= 0;
  if (known && behind < options_.emission_buffer && live != live_.end()) {
    Job& job = jobs_.at(live->second);
    if (job.state == State::kRunning && !job.reads_open) return TakeOver(live->second, job, id, call, now);
  }
  Supersede(call.stream, call.attempt, now);
  if (!known || record->finish == FinishReason::kNone)
    return Refuse(id, absl::NotFoundError("the stream does not run here any more"));
  ++counters_.resumed;
  Tell(id, DecodeAccepted{record->cached_tokens});
  Retell(id, *record, call.position);
  Tell(id, DecodeFinished{record->finish, KvOutcome::kLocal, record->inexact});
  actions_.push_back(EndCall{id, absl::OkStatus()});
}

void WorkerCore::TakeOver(SeqId seq, Job& job, CallId id, const ResumeCall& call, MonoTime now) {
  ++counters_.resumed;
  if (job.open) ++counters_.superseded;
  Close(job, absl::AbortedError("superseded: a higher attempt of this stream arrived"), now);
  records_.Reopen(call.stream, call.attempt, now);
  attempts_.Begin(call.stream, call.attempt, CallKind::kDecode);
  job.call = id;
  job.attempt = call.attempt;
  job.open = true;
  job.unsent = 0;
  job.linger_until = absl::InfinitePast();
  by_call_[id] = seq;
  Emit(job, DecodeAccepted{job.cached_tokens});
  const RecordedStream& record = *records_.Find(call.stream, call.principal);
  job.unsent += static_cast<int64_t>(record.tokens.size()) - call.position;
  Retell(id, record, call.position);
}

void WorkerCore::Retell(CallId id, const RecordedStream& record, int64_t position) {
  for (size_t i = static_cast<size_t>(position); i < record.tokens.size(); ++i)
    Tell(id, record.tokens[i].token);
}

void WorkerCore::Tell(CallId id, CallEvent event) {
  actions_.push_back(EmitEvent{id, std::move(event)});
}

void WorkerCore::OnRecord(CallId id, const RecordCall& call, MonoTime) {
  const RecordedStream* record = records_.Find(call.stream, call.principal);
  if (record == nullptr) return Refuse(id, absl::NotFoundError("no record of this stream is here"));
  RecordFound found{.stream = *record};
  if (const auto live = live_.find(call.stream); live != live_.end()) {
    const Job& job = jobs_.at(live->second);
    found.live = job.state == State::kRunning && !job.reads_open;
    found.rank = job.rank;
  }
  Tell(id, std::move(found));
  actions_.push_back(EndCall{id, absl::OkStatus()});
}

void WorkerCore::OnKeep(CallId id, KeepCall call, MonoTime now) {
  if (call.stream.empty()) return Refuse(id, absl::InvalidArgumentError("stream is missing"));
  if (!live_.contains(call.stream)) {
    if (records_.Find(call.stream, call.record.principal) == nullptr)
      records_.Open(call.stream, call.attempt, std::move(call.record), {}, now);
    records_.Reopen(call.stream, call.attempt, now);
    records_.Rest(call.stream, now);
  }
  actions_.push_back(EndCall{id, absl::OkStatus()});
}

void WorkerCore::OnStop(CallId id, const StopCall& call, MonoTime now) {
  const auto live = live_.find(call.stream);
  if (live != live_.end()) {
    const SeqId seq = live->second;
    Job& job = jobs_.at(seq);
    if (job.attempt <= call.attempt) Abandon(seq, job, absl::CancelledError("stopped"), now);
  }
  actions_.push_back(EndCall{id, absl::OkStatus()});
}

}  // namespace baton
