#include "services/worker/worker_core.h"

#include <algorithm>

#include "absl/strings/str_cat.h"
#include "common/block_hash.h"
#include "common/status_macros.h"
#include "services/worker/request_limits.h"

namespace baton {

WorkerCore::WorkerCore(const WorkerCoreOptions& options)
    : options_(options), attempts_(options.attempts), records_(options.records) {}

absl::Status WorkerCore::CheckGate(CallKind kind) const {
  if (drain_.draining && kind != CallKind::kShare) return absl::UnavailableError("draining");
  if (kind == CallKind::kPrefill && options_.role != WorkerRole::kPrefill)
    return absl::UnavailableError("role gate closed: this worker decodes");
  if (kind == CallKind::kDecode && options_.role != WorkerRole::kDecode)
    return absl::UnavailableError("role gate closed: this worker prefills");
  return absl::OkStatus();
}

absl::Status WorkerCore::Admit(const Arrival& arrival, const absl::Status& check, MonoTime now) {
  const CallKind kind = arrival.kind;
  if (arrival.stream.empty()) return absl::InvalidArgumentError("stream is missing");
  if (arrival.rank >= options_.ranks) {
    return absl::InvalidArgumentError(
        absl::StrCat("rank ", arrival.rank, " of ", options_.ranks, " does not exist"));
  }
  BATON_RETURN_IF_ERROR(check);
  const absl::Status gate = CheckGate(kind);
  if (!attempts_.Knows(arrival.stream)) BATON_RETURN_IF_ERROR(gate);  // nothing to remember
  bool raised = false;
  const absl::Status seen = attempts_.See(arrival.stream, arrival.attempt, kind, now, &raised);
  if (absl::IsAborted(seen)) ++counters_.superseded;
  BATON_RETURN_IF_ERROR(seen);
  if (raised || live_.contains(arrival.stream)) Supersede(arrival.stream, arrival.attempt, now);
  const bool reads = kind == CallKind::kDecode || kind == CallKind::kFetch;
  if ((reads ? by_pull_ : by_lease_).contains({arrival.stream, arrival.attempt}))
    return absl::AbortedError("superseded: a handoff of this attempt is not over yet");
  BATON_RETURN_IF_ERROR(gate);
  if (open_calls() >= options_.max_calls)
    return absl::ResourceExhaustedError("queue full: too many open calls");
  if (arrival.deadline <= now) return absl::DeadlineExceededError("the request's time was over on arrival");
  return absl::OkStatus();
}

absl::Status WorkerCore::AdmitSequence(const Arrival& arrival, const SequenceSpec& spec, MonoTime now) {
  const RequestLimits limits{.max_context = options_.max_context, .vocab_size = options_.vocab_size};
  return Admit(arrival, CheckRequest(spec, limits), now);
}

void WorkerCore::Supersede(const StreamId& stream, Attempt attempt, MonoTime now) {
  std::vector<SeqId> older;
  for (const auto& [call, seq] : by_call_) {
    const Job& job = jobs_.at(seq);
    if (job.stream == stream && job.attempt < attempt) older.push_back(seq);
  }
  const auto live = live_.find(stream);
  if (live != live_.end()) {
    const Job& job = jobs_.at(live->second);
    if (job.lingers() && job.attempt < attempt) older.push_back(live->second);
  }
  std::sort(older.begin(), older.end());
  for (const SeqId seq : older) {
    ++counters_.superseded;
    Abandon(seq, jobs_.at(seq), absl::AbortedError("superseded: a higher attempt of this stream arrived"),
            now);
  }
}

SeqId WorkerCore::AddJob(CallId id, Job job) {
  const SeqId seq = next_seq_++;
  ++counters_.admitted;
  attempts_.Begin(job.stream, job.attempt, job.kind);
  by_call_[id] = seq;
  jobs_.emplace(seq, std::move(job));
  return seq;
}

WorkerCore::Job WorkerCore::MakeJob(CallId id, const StreamId& stream, Attempt attempt, CallKind kind,
                                    uint32_t rank, SequenceSpec& spec, MonoTime now) const {
  spec.deadline = std::min(spec.deadline, now + options_.max_call_time);
  Job job;
  job.call = id;
  job.stream = stream;
  job.attempt = attempt;
  job.kind = kind;
  job.rank = rank;
  job.deadline = spec.deadline;
  job.tokens = static_cast<int64_t>(spec.tokens.size());
  job.digest = TokenDigest(spec.tokens);
  job.next_position = job.tokens - spec.prompt_tokens;
  return job;
}

void WorkerCore::Refuse(CallId id, absl::Status status) {
  ++counters_.refused;
  actions_.push_back(EndCall{id, std::move(status)});
}

void WorkerCore::OnDecode(CallId id, DecodeCall call, MonoTime now) {
  absl::Status admitted = AdmitSequence(
      {call.stream, call.attempt, CallKind::kDecode, call.rank, call.spec.deadline}, call.spec, now);
  if (!admitted.ok()) return Refuse(id, std::move(admitted));
  Job job = MakeJob(id, call.stream, call.attempt, CallKind::kDecode, call.rank, call.spec, now);
  const auto emitted = absl::MakeConstSpan(call.spec.tokens).subspan(call.spec.prompt_tokens);
  if (call.source.has_value()) {
    job.state = State::kReserving;
    job.source = *std::move(call.source);
    const SeqId seq = AddJob(id, std::move(job));
    Keep(seq, std::move(call.record), emitted, now);
    Engine(jobs_.at(seq), ReserveCommand{seq, std::move(call.spec)});
    return;
  }
  job.state = State::kRunning;
  job.outcome = KvOutcome::kLocal;
  const SeqId seq = AddJob(id, std::move(job));
  Keep(seq, std::move(call.record), emitted, now);
  Engine(jobs_.at(seq), ServeCommand{seq, std::move(call.spec)});
  Emit(jobs_.at(seq), DecodeAccepted{});
}

void WorkerCore::OnPrefill(CallId id, PrefillCall call, MonoTime now) {
  absl::Status admitted = AdmitSequence(
      {call.stream, call.attempt, CallKind::kPrefill, call.rank, call.spec.deadline}, call.spec, now);
  if (!admitted.ok()) return Refuse(id, std::move(admitted));
  Job job = MakeJob(id, call.stream, call.attempt, CallKind::kPrefill, call.rank, call.spec, now);
  job.state = State::kComputing;
  job.lease_open = true;
  Handoff(OwnBegin{job.handoff(), call.rank, call.reader_epoch, call.reader_rank, job.tokens, job.deadline});
  const HandoffId handoff = job.handoff();
  const SeqId seq = AddJob(id, std::move(job));
  by_lease_[handoff] = seq;
  Keep(seq, std::move(call.record), absl::MakeConstSpan(call.spec.tokens).subspan(call.spec.prompt_tokens),
       now);
  Engine(jobs_.at(seq), PrefillCommand{seq, std::move(call.spec)});
}

void WorkerCore::OnCallBroken(CallId id, MonoTime now) {
  const auto it = by_call_.find(id);
  if (it == by_call_.end()) return;
  ++counters_.broken;
  const SeqId seq = it->second;
  Job& job = jobs_.at(seq);
  if (MayLinger(job)) return Linger(job, now);
  Abandon(seq, job, absl::CancelledError("the call was cancelled or its connection lost"), now);
}

void WorkerCore::OnSent(CallId id, int64_t n) {
  const auto it = by_call_.find(id);
  if (it == by_call_.end()) return;
  Job& job = jobs_.at(it->second);
  job.unsent = std::max<int64_t>(0, job.unsent - n);
}

void WorkerCore::OnDrain(MonoTime deadline) {
  drain_.draining = true;
  drain_.deadline = std::min(drain_.deadline, deadline);
}

void WorkerCore::OnDrainDeadline(MonoTime now) {
  drain_.draining = true;
  drain_.deadline = std::min(drain_.deadline, now);
  OnTick(now);
}

void WorkerCore::OnTick(MonoTime now) {
  attempts_.Expire(now);
  records_.Expire(now);
  const bool cut_off = drain_.draining && drain_.deadline <= now;
  std::vector<SeqId> late;
  for (const auto& [call, seq] : by_call_) {
    if (cut_off || jobs_.at(seq).deadline <= now) late.push_back(seq);
  }
  std::sort(late.begin(), late.end());
  for (const SeqId seq : late) {
    Job& job = jobs_.at(seq);
    if (cut_off) {
      Abandon(seq, job, absl::UnavailableError("draining: the grace time is over"), now);
      --drain_.ended;
      ++drain_.cut_off;
    } else {
      ++counters_.out_of_time;
      Abandon(seq, job, absl::DeadlineExceededError("the request's time is over"), now);
    }
  }
  EndLingering(cut_off, now);
}

std::vector<WorkerAction> WorkerCore::TakeActions() {
  return std::exchange(actions_, {});
}

void WorkerCore::Engine(const Job& job, EngineCommand command) {
  actions_.push_back(SendEngine{job.rank, std::move(command)});
}

void WorkerCore::Handoff(HandoffCommand command) {
  actions_.push_back(SendHandoff{std::move(command)});
}

absl::Status WorkerCore::CheckIntegrity() const {
  size_t open = 0, reads = 0, leases = 0;
  const auto is = [](const auto& map, const auto& key, SeqId seq) {
    const auto it = map.find(key);
    return it != map.end() && it->second == seq;
  };
  for (const auto& [seq, job] : jobs_) {
    open += job.open;
    reads += job.reads_open;
    leases += job.lease_open;
    if (!job.open && !job.reads_open && !job.lease_open && !job.lingers())
      return absl::InternalError("a settled job was kept");
    if (job.open && job.state == State::kOver) return absl::InternalError("an open call without a sequence");
    if (job.open && !is(by_call_, job.call, seq))
      return absl::InternalError("an open call is not in the table");
    if (job.reads_open && !is(by_pull_, job.handoff(), seq))
      return absl::InternalError("a pull is not in the table");
    if (job.lease_open && !is(by_lease_, job.handoff(), seq))
      return absl::InternalError("a lease is not in the table");
  }
  if (open != by_call_.size() || reads != by_pull_.size() || leases != by_lease_.size()) {
    return absl::InternalError("a table names a job that is gone");
  }
  for (const auto& [stream, seq] : live_) {
    const auto it = jobs_.find(seq);
    if (it == jobs_.end() || it->second.state == State::kOver || it->second.stream != stream)
      return absl::InternalError("a live stream has no sequence");
  }
  if (attempts_.serving() != open)
    return absl::InternalError("the attempt table counts other calls than are open");
  return absl::OkStatus();
}

std::pair<int64_t, int64_t> Offerable(int64_t begin, int64_t end, int64_t tokens) {
  const int64_t first = begin / kAtomTokens * kAtomTokens;
  const int64_t last = end >= tokens ? tokens : end / kAtomTokens * kAtomTokens;
  return {first, std::max(first, last)};
}

}  // namespace baton
