#include "services/worker/worker_codec.h"

#include <algorithm>

#include "common/status_macros.h"
#include "proto/sampling.h"

namespace baton::codec {
namespace {

Id128 FromProto(const v1::Id128& id) {
  return {id.hi(), id.lo()};
}
Attempt FromProto(const v1::Attempt& attempt) {
  return {attempt.claim(), attempt.n()};
}

MonoTime Deadline(uint64_t timeout_ms, MonoTime now) {
  constexpr uint64_t kLongestMs = uint64_t{1} << 40;
  if (timeout_ms == 0) return absl::InfiniteFuture();
  return now + absl::Milliseconds(static_cast<int64_t>(std::min(timeout_ms, kLongestMs)));
}

absl::StatusOr<SequenceSpec> FromProto(const v1::GenerateSpec& in, MonoTime now) {
  constexpr uint32_t kMostLogprobs = 1000;
  if (in.has_top_logprobs() && in.top_logprobs() > kMostLogprobs) {
    return absl::InvalidArgumentError("top_logprobs is out of range");
  }
  if (!in.has_sampling()) return absl::InvalidArgumentError("sampling is missing");
  SequenceSpec spec{.tokens = {in.tokens().begin(), in.tokens().end()},
                    .prompt_tokens = in.prompt_tokens(),
                    .sampling = SamplingFromProto<SamplingParams>(in.sampling()),
                    .max_tokens = in.max_tokens(),
                    .stop_tokens = {in.stop_tokens().begin(), in.stop_tokens().end()},
                    .ignore_eos = in.ignore_eos(),
                    .top_logprobs = in.has_top_logprobs() ? static_cast<int32_t>(in.top_logprobs()) : -1,
                    .cache_salt = FromProto(in.cache_salt()),
                    .priority = in.priority()};
  spec.deadline = Deadline(in.timeout_ms(), now);
  return spec;
}

RecordedRequest Recorded(const v1::GenerateSpec& spec) {
  if (spec.card().empty()) return {};
  return {.spec = spec.SerializeAsString(), .principal = FromProto(spec.principal())};
}

PrefixMove FromProto(const v1::PrefixMove& in, MonoTime now) {
  return {.id = FromProto(in.id()),
          .attempt = FromProto(in.attempt()),
          .tokens = {in.tokens().begin(), in.tokens().end()},
          .cache_salt = FromProto(in.cache_salt()),
          .deadline = Deadline(in.timeout_ms(), now)};
}

absl::StatusOr<KvPeer> FromProto(const v1::KvSource& source) {
  if (source.endpoint().empty()) return absl::InvalidArgumentError("source.endpoint is missing");
  return KvPeer{.endpoint = source.endpoint(),
                .curve_public_key = source.curve_public_key(),
                .epoch = FromProto(source.epoch()),
                .rank = source.rank()};
}

void Fill(const GeneratedToken& in, v1::Token* out) {
  out->set_position(static_cast<uint32_t>(in.position));
  out->set_token(in.token);
  out->set_logprob(in.logprob);
  for (const TopLogprob& top : in.top) {
    v1::TopLogprob* added = out->add_top();
    added->set_token(top.token);
    added->set_logprob(top.logprob);
  }
}

v1::FinishReason ToProto(FinishReason reason) {
  switch (reason) {
    case FinishReason::kStop:
      return v1::FINISH_REASON_STOP;
    case FinishReason::kLength:
      return v1::FINISH_REASON_LENGTH;
    case FinishReason::kNone:
      return v1::FINISH_REASON_NONE;
  }
  return v1::FINISH_REASON_NONE;
}

v1::KvOutcome ToProto(KvOutcome outcome) {
  switch (outcome) {
    case KvOutcome::kHeld:
      return v1::KV_OUTCOME_HELD;
    case KvOutcome::kLost:
      return v1::KV_OUTCOME_LOST;
    case KvOutcome::kLocal:
      return v1::KV_OUTCOME_LOCAL;
    case KvOutcome::kUnspecified:
      return v1::KV_OUTCOME_UNSPECIFIED;
  }
  return v1::KV_OUTCOME_UNSPECIFIED;
}

}  // namespace

absl::StatusOr<DecodeCall> FromProto(const v1::DecodeRequest& request, MonoTime now) {
  DecodeCall call{.stream = FromProto(request.spec().stream()),
                  .attempt = FromProto(request.spec().attempt()),
                  .rank = request.rank(),
                  .record = Recorded(request.spec())};
  BATON_ASSIGN_OR_RETURN(call.spec, FromProto(request.spec(), now));
  if (request.has_source()) {
    BATON_ASSIGN_OR_RETURN(call.source, FromProto(request.source()));
  }
  return call;
}

absl::StatusOr<PrefillCall> FromProto(const v1::PrefillRequest& request, MonoTime now) {
  PrefillCall call{.stream = FromProto(request.spec().stream()),
                   .attempt = FromProto(request.spec().attempt()),
                   .rank = request.rank(),
                   .reader_epoch = FromProto(request.reader_epoch()),
                   .reader_rank = request.reader_rank(),
                   .record = Recorded(request.spec())};
  BATON_ASSIGN_OR_RETURN(call.spec, FromProto(request.spec(), now));
  if (call.reader_epoch.empty()) return absl::InvalidArgumentError("reader_epoch is missing");
  return call;
}

absl::StatusOr<ShareCall> FromProto(const v1::ShareRequest& request, MonoTime now) {
  ShareCall call{.move = FromProto(request.move(), now),
                 .rank = request.rank(),
                 .reader_epoch = FromProto(request.reader_epoch()),
                 .reader_rank = request.reader_rank()};
  if (call.reader_epoch.empty()) return absl::InvalidArgumentError("reader_epoch is missing");
  return call;
}

absl::StatusOr<FetchCall> FromProto(const v1::FetchRequest& request, MonoTime now) {
  FetchCall call{.move = FromProto(request.move(), now), .rank = request.rank()};
  BATON_ASSIGN_OR_RETURN(call.source, FromProto(request.source()));
  return call;
}

absl::StatusOr<ResumeCall> FromProto(const v1::ResumeRequest& request, MonoTime) {
  return ResumeCall{.stream = FromProto(request.stream()),
                    .attempt = FromProto(request.attempt()),
                    .principal = FromProto(request.principal()),
                    .position = request.position()};
}

absl::StatusOr<RecordCall> FromProto(const v1::RecordRequest& request, MonoTime) {
  return RecordCall{FromProto(request.stream()), FromProto(request.principal())};
}

absl::StatusOr<KeepCall> FromProto(const v1::KeepRequest& request, MonoTime) {
  return KeepCall{FromProto(request.spec().stream()), FromProto(request.spec().attempt()),
                  Recorded(request.spec())};
}

absl::StatusOr<StopCall> FromProto(const v1::StopRequest& request, MonoTime) {
  return StopCall{FromProto(request.stream()), FromProto(request.attempt())};
}

void ToProto(const Id128& id, v1::Id128* out) {
  out->set_hi(id.hi);
  out->set_lo(id.lo);
}

void ToProto(const CallEvent& event, const Epoch& epoch, v1::DecodeEvent* out) {
  out->Clear();
  if (const auto* accepted = std::get_if<DecodeAccepted>(&event)) {
    ToProto(epoch, out->mutable_accepted()->mutable_epoch());
    out->mutable_accepted()->set_cached_tokens(static_cast<uint32_t>(accepted->cached_tokens));
  } else if (const auto* token = std::get_if<GeneratedToken>(&event)) {
    Fill(*token, out->mutable_token());
    out->set_cached_tokens(static_cast<uint32_t>(token->cached_tokens));
  } else if (const auto* finished = std::get_if<DecodeFinished>(&event)) {
    out->mutable_finished()->set_reason(ToProto(finished->reason));
    out->mutable_finished()->set_kv(ToProto(finished->kv));
    out->mutable_finished()->set_inexact(finished->inexact);
  }
}

void ToProto(const CallEvent& event, const Epoch&, v1::PrefillEvent* out) {
  out->Clear();
  if (const auto* first = std::get_if<PrefillFirstToken>(&event)) {
    Fill(first->token, out->mutable_first_token());
    out->set_cached_tokens(static_cast<uint32_t>(first->cached_tokens));
    out->set_finish(ToProto(first->finish));
  } else if (const auto* ended = std::get_if<PrefillHandoffEnded>(&event)) {
    out->mutable_handoff()->set_outcome(ToProto(ended->outcome));
    out->mutable_handoff()->set_detail(ended->detail);
  }
}

void ToProto(const CallEvent& event, const Epoch&, v1::ShareEvent* out) {
  out->Clear();
  if (const auto* shared = std::get_if<PrefixShared>(&event)) {
    out->mutable_shared()->set_tokens(static_cast<uint32_t>(shared->tokens));
  } else if (const auto* ended = std::get_if<PrefillHandoffEnded>(&event)) {
    out->mutable_ended()->set_outcome(ToProto(ended->outcome));
    out->mutable_ended()->set_detail(ended->detail);
  }
}

void ToProto(const CallEvent& event, const Epoch&, v1::FetchEvent* out) {
  out->Clear();
  if (const auto* fetched = std::get_if<PrefixFetched>(&event)) {
    out->mutable_fetched()->set_outcome(ToProto(fetched->outcome));
    out->mutable_fetched()->set_cached_tokens(static_cast<uint32_t>(fetched->cached_tokens));
    out->mutable_fetched()->set_fetched_tokens(static_cast<uint32_t>(fetched->fetched_tokens));
    out->mutable_fetched()->set_detail(fetched->detail);
  }
}

void ToProto(const CallEvent& event, const Epoch&, v1::RecordEvent* out) {
  out->Clear();
  const auto* found = std::get_if<RecordFound>(&event);
  if (found == nullptr) return;
  const RecordedStream& stream = found->stream;
  out->mutable_spec()->ParseFromString(stream.spec);
  out->mutable_spec()->mutable_attempt()->set_claim(stream.attempt.claim);
  out->mutable_spec()->mutable_attempt()->set_n(stream.attempt.n);
  for (const RecordedToken& token : stream.tokens) {
    Fill(token.token, out->add_tokens());
    out->add_scored(token.scored);
  }
  out->set_finish(ToProto(stream.finish));
  out->set_inexact(stream.inexact);
  out->set_live(found->live);
  out->set_rank(found->rank);
  out->set_cached_tokens(static_cast<uint32_t>(stream.cached_tokens));
}

void ToProto(const CallEvent&, const Epoch&, v1::KeepEvent*) {}
void ToProto(const CallEvent&, const Epoch&, v1::StopEvent*) {}

v1::Role ToProto(WorkerRole role) {
  return role == WorkerRole::kPrefill ? v1::ROLE_PREFILL : v1::ROLE_DECODE;
}

void ToProto(uint32_t rank, const EngineLoad& load, v1::RankLoad* out) {
  const auto count = [](int64_t value) { return static_cast<uint64_t>(std::max<int64_t>(value, 0)); };
  out->set_rank(rank);
  out->set_running(count(load.running));
  out->set_waiting(count(load.waiting));
  out->set_backlog_tokens(count(load.backlog_tokens));
  out->set_context_tokens(count(load.context_tokens));
  v1::Pages* pages = out->mutable_pages();
  pages->set_free(count(load.pages.free));
  pages->set_used(count(load.pages.used));
  pages->set_cached(count(load.pages.cached));
  pages->set_pinned(count(load.pages.pinned));
  pages->set_pulling(count(load.pages.pulling));
  pages->set_quarantined(count(load.pages.quarantined));
  out->set_preemptions(count(load.preemptions));
  out->set_prefix_hits(count(load.prefix_hits));
  out->set_prefix_hit_tokens(count(load.prefix_hit_tokens));
  out->set_computed_tokens(count(load.computed_tokens));
  out->set_generated_tokens(count(load.generated_tokens));
}

void ToProto(const WorkerFacts& facts, v1::WorkerInfo* out) {
  out->set_name(facts.name);
  out->set_model(facts.model);
  out->set_fingerprint(facts.fingerprint);
  out->mutable_kv()->set_endpoint(facts.kv.endpoint);
  out->mutable_kv()->set_curve_public_key(facts.kv.curve_public_key);
  ToProto(facts.kv.epoch, out->mutable_kv()->mutable_epoch());
  out->set_page_tokens(static_cast<uint32_t>(facts.layout.PageTokens()));
  out->set_max_context(static_cast<uint64_t>(facts.max_context));
  out->set_accepts_inexact_kv(facts.accepts_inexact);
  out->set_model_id(facts.model_id);
  out->set_publishes_blocks(true);
  out->set_kv_bytes_per_token(facts.layout.AtomBytes() / kAtomTokens);
}

}  // namespace baton::codec
