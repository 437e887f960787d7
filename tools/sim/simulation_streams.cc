// A request's way through a simulated cluster.

#include <algorithm>
#include <cmath>

#include "tools/sim/simulation_state.h"

namespace baton::simulator {
namespace {

constexpr double kRetryS = 0.05;           // after decode ranks refused; twice as long each time,
constexpr double kMostRetryS = 1;          // up to this
constexpr double kMostWaitS = 30;          // with no rank that takes it
constexpr uint32_t kRefusalsTogether = 3;  // as the router tries at once
constexpr uint32_t kTokensTogether = 16;   // as registry/stream_feedback tells

}  // namespace

void Simulation::Arrive(uint32_t request) {
  Stream& stream = streams_[request];
  stream.arrived_s = now_s_;
  const uint64_t most = static_cast<uint64_t>(options_.cluster.curve.kv_tokens);
  const uint64_t room = most - std::min<uint64_t>(most, requests_[request].prompt + 2ull * page_tokens_);
  stream.answer = static_cast<uint32_t>(std::min<uint64_t>(requests_[request].answer, room));
  if (stream.answer == 0) return Reject(request);
  router::Admission* admission = router_.admission();
  if (admission == nullptr) return Place(request);
  const uint64_t tokens = requests_[request].prompt + admission->ExpectedAnswer(requests_[request].answer);
  const router::AdmissionDecision decision = admission->Arrive(request, {.tokens = tokens}, Now());
  for (const router::AdmissionTicket ticket : decision.displaced) Reject(uint32_t(ticket));
  if (decision.answer == router::AdmissionAnswer::kRejected) return Reject(request);
  if (decision.answer == router::AdmissionAnswer::kAdmitted) return Place(request);
  CheckAdmission();
}

void Simulation::CheckAdmission() {
  router::Admission* admission = router_.admission();
  Admit(admission->Tick(Now()));
  if (const MonoTime next = admission->NextDeadline(); next < absl::InfiniteFuture())
    Push(std::max(now_s_ + 1e-3, absl::ToDoubleSeconds(next - absl::UnixEpoch())), Kind::kAdmission, 0);
}

void Simulation::Admit(const router::AdmissionChanges& changes) {
  for (const router::AdmissionTicket ticket : changes.admitted) Push(now_s_, Kind::kPlace, uint32_t(ticket));
  for (const router::AdmissionTicket ticket : changes.expired) Reject(uint32_t(ticket));
}

void Simulation::Place(uint32_t request) {
  const Request& wanted = requests_[request];
  Stream& stream = streams_[request];
  const absl::StatusOr<PlacedRequest> placed =
      router_.Place({.prompt_tokens = wanted.prompt,
                     .max_new_tokens = 4096,
                     .ttft_slo = absl::Seconds(options_.cluster.ttft_slo_s - (now_s_ - stream.arrived_s)),
                     .itl_slo = absl::Seconds(options_.cluster.itl_slo_s),
                     .avoid = stream.avoid},
                    wanted.blocks, Now());
  if (!placed.ok()) return Reject(request);
  stream.placed = *placed;
  stream.decode = RankOf(placed->placement.decode);
  stream.direct = !placed->placement.prefill.has_value();
  if (!stream.direct) stream.prefill = RankOf(*placed->placement.prefill);
  Begin(request);
}

void Simulation::Begin(uint32_t request) {
  const Request& wanted = requests_[request];
  Stream& stream = streams_[request];
  const Job job{request, wanted.prompt, stream.answer, wanted.blocks, !stream.direct};
  if (stream.direct) {
    ranks_[stream.decode].Enqueue(job);
    return Kick(stream.decode);
  }
  if (stream.answer > 1 && !ranks_[stream.decode].Reserve(job)) return Retry(request);
  ranks_[stream.prefill].Enqueue(job);
  Kick(stream.prefill);
}

void Simulation::Retry(uint32_t request) {
  Stream& stream = streams_[request];
  ++result_.refused;
  const router::RankRef refused = stream.placed.placement.decode;
  router_.Ended(&stream.placed);
  router_.Learn(router::StreamRefused{stream.placed.stream, refused, Now()});
  stream.avoid.push_back(refused);
  if (++stream.refusals % kRefusalsTogether != 0) return Place(request);
  stream.avoid.clear();
  if (now_s_ - stream.arrived_s > kMostWaitS) return Reject(request);
  const double wait = std::ldexp(kRetryS, int(std::min(stream.refusals / kRefusalsTogether, 10u)) - 1);
  Push(now_s_ + std::min(wait, kMostRetryS), Kind::kPlace, request);
}

void Simulation::Chunk(uint32_t rank, const StepResult::Chunk& chunk) {
  Stream& stream = streams_[chunk.request];
  if (!stream.direct && stream.answer > 1) Send(chunk.request, chunk);
  if (!chunk.last) return;
  stream.first_s = stream.last_s = stream.told_s = now_s_;
  stream.tokens = stream.told = 1;
  router_.PromptComputed(&stream.placed);
  router_.Learn(router::StreamFirstToken{stream.placed.stream, chunk.cached, Now()});
  if (router_.admission() != nullptr) router_.admission()->FirstToken(chunk.request, Now());
  if (Counts(chunk.request)) {
    result_.ttft.Add(absl::Seconds(now_s_ - stream.arrived_s));
    result_.prompt_tokens += requests_[chunk.request].prompt;
    result_.cached_tokens += chunk.cached;
    result_.direct += stream.direct;
  }
  if (!stream.direct && stream.answer <= 1) ranks_[rank].HandedOff(chunk.request);
}

// Chunks go as they are done, while the next is computed; a link does one thing at a time.
void Simulation::Send(uint32_t request, const StepResult::Chunk& chunk) {
  Stream& stream = streams_[request];
  const StepCurve& curve = options_.cluster.curve;
  const uint32_t here = ranks_[stream.decode].ReservedCached(request);  // need not be sent
  const uint32_t from = std::max(stream.sent_to, here);
  const double tokens = chunk.done - std::min(chunk.done, from);
  stream.sent_to = chunk.done;
  double& out = link_out_s_[stream.prefill];
  double& in = link_in_s_[stream.decode];
  out = in = std::max({now_s_, out, in}) + tokens * curve.kv_bytes_per_token / curve.link_bytes_per_s;
  if (chunk.last) Push(out + curve.link_latency_s, Kind::kKvArrived, request);
}

void Simulation::KvArrived(uint32_t request) {
  Stream& stream = streams_[request];
  ranks_[stream.prefill].HandedOff(request);
  router_.HandedOff(&stream.placed);
  ranks_[stream.decode].KvArrived(request);
  Kick(stream.prefill);
  Kick(stream.decode);
}

void Simulation::Token(uint32_t request) {
  Stream& stream = streams_[request];
  if (Counts(request)) result_.itl.Add(absl::Seconds(now_s_ - stream.last_s));
  stream.last_s = now_s_;
  if (++stream.tokens - stream.told >= kTokensTogether) TellTokens(request);
}

void Simulation::TellTokens(uint32_t request) {
  Stream& stream = streams_[request];
  if (stream.tokens == stream.told) return;
  router_.Learn(router::StreamTokens{stream.placed.stream, stream.tokens - stream.told,
                                     absl::Seconds(stream.last_s - stream.told_s), Now()});
  stream.told = stream.tokens;
  stream.told_s = stream.last_s;
}

void Simulation::Finish(uint32_t request) {
  Stream& stream = streams_[request];
  TellTokens(request);
  router_.Learn(router::StreamFinished{stream.placed.stream, stream.tokens, Now()});
  router_.Ended(&stream.placed);
  --open_;
  if (router_.admission() != nullptr) Admit(router_.admission()->Leave(request, Now(), stream.tokens));
}

void Simulation::Reject(uint32_t request) {
  --open_;
  if (router_.admission() != nullptr) Admit(router_.admission()->Leave(request, Now()));
  streams_[request].answer = std::max(1u, streams_[request].answer);
}

}  // namespace baton::simulator
