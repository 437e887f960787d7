#include "services/router/rpc/convert.h"

#include <cstring>
#include <utility>

#include "proto/sampling.h"

namespace baton::router {
namespace {

void SetId(const Id128& id, v1::Id128* out) {
  out->set_hi(id.hi);
  out->set_lo(id.lo);
}

Id128 GetId(const v1::Id128& id) {
  return {.hi = id.hi(), .lo = id.lo()};
}

void SetSampling(const SamplingSpec& sampling, v1::Sampling* out) {
  out->set_temperature(sampling.temperature);
  out->set_top_k(sampling.top_k);
  out->set_top_p(sampling.top_p);
  out->set_min_p(sampling.min_p);
  out->set_presence_penalty(sampling.presence_penalty);
  out->set_frequency_penalty(sampling.frequency_penalty);
  out->set_repetition_penalty(sampling.repetition_penalty);
  for (const auto& [token, bias] : sampling.logit_bias) {
    v1::LogitBias* one = out->add_logit_bias();
    one->set_token(token);
    one->set_bias(bias);
  }
  out->set_seed(sampling.seed);
  out->set_choice_index(sampling.choice_index);
}

void SetSpec(const GenerateSpec& spec, const CallParameters& parameters, v1::GenerateSpec* out) {
  SetId(spec.stream, out->mutable_stream());
  out->mutable_attempt()->set_claim(parameters.attempt.claim);
  out->mutable_attempt()->set_n(parameters.attempt.n);
  out->mutable_tokens()->Add(spec.prompt->begin(), spec.prompt->end());
  out->mutable_tokens()->Add(parameters.emitted.begin(), parameters.emitted.end());
  out->set_prompt_tokens(static_cast<uint32_t>(spec.prompt->size()));
  SetSampling(spec.sampling, out->mutable_sampling());
  out->set_max_tokens(spec.max_tokens);
  out->mutable_stop_tokens()->Add(spec.stop_tokens.begin(), spec.stop_tokens.end());
  out->set_ignore_eos(spec.ignore_eos);
  SetId(spec.cache_salt, out->mutable_cache_salt());
  if (spec.top_logprobs >= 0) out->set_top_logprobs(static_cast<uint32_t>(spec.top_logprobs));
  if (!spec.card.empty()) {
    out->set_card(spec.card);
    SetId(spec.principal, out->mutable_principal());
  }
  out->set_timeout_ms(static_cast<uint64_t>(absl::ToInt64Milliseconds(parameters.timeout)));
}

void SetSource(const KvSourceRank& source, v1::KvSource* out) {
  out->set_endpoint(source.kv.address);
  out->set_curve_public_key(source.kv.curve_public_key);
  SetId(source.kv.epoch, out->mutable_epoch());
  out->set_rank(source.rank);
}

void SetMove(const MoveParameters& parameters, v1::PrefixMove* out) {
  SetId(parameters.id, out->mutable_id());
  out->mutable_attempt()->set_claim(parameters.round.claim);
  out->mutable_attempt()->set_n(parameters.round.n);
  out->mutable_tokens()->Add(parameters.tokens.begin(), parameters.tokens.end());
  SetId(parameters.cache_salt, out->mutable_cache_salt());
  out->set_timeout_ms(static_cast<uint64_t>(absl::ToInt64Milliseconds(parameters.timeout)));
}

// The original prompt's only: what a replay appended is among the record's tokens.
GenerateSpec GetSpec(const v1::GenerateSpec& in) {
  const auto prompt_end = in.tokens().begin() + in.prompt_tokens();
  return {.stream = GetId(in.stream()),
          .prompt = std::make_shared<const std::vector<TokenId>>(in.tokens().begin(), prompt_end),
          .sampling = SamplingFromProto<SamplingSpec>(in.sampling()),
          .max_tokens = in.max_tokens(),
          .stop_tokens = {in.stop_tokens().begin(), in.stop_tokens().end()},
          .ignore_eos = in.ignore_eos(),
          .top_logprobs = in.has_top_logprobs() ? static_cast<int32_t>(in.top_logprobs()) : -1,
          .cache_salt = GetId(in.cache_salt()),
          .card = in.card(),
          .principal = GetId(in.principal())};
}

StreamToken GetToken(const v1::Token& token) {
  StreamToken out{.position = token.position(), .token = token.token(), .logprob = token.logprob()};
  out.top.reserve(static_cast<size_t>(token.top_size()));
  for (const v1::TopLogprob& top : token.top()) out.top.push_back({top.token(), top.logprob()});
  return out;
}

StreamFinish GetFinish(v1::FinishReason reason) {
  switch (reason) {
    case v1::FINISH_REASON_STOP:
      return StreamFinish::kStopToken;
    case v1::FINISH_REASON_LENGTH:
      return StreamFinish::kLength;
    default:
      return StreamFinish::kNone;
  }
}

HandoffOutcome GetOutcome(v1::KvOutcome outcome) {
  switch (outcome) {
    case v1::KV_OUTCOME_HELD:
      return HandoffOutcome::kHeld;
    case v1::KV_OUTCOME_LOST:
      return HandoffOutcome::kLost;
    case v1::KV_OUTCOME_LOCAL:
      return HandoffOutcome::kLocal;
    default:
      return HandoffOutcome::kUnknown;
  }
}

// False: not of whole hashes.
bool GetBlocks(const std::string& bytes, std::vector<BlockHash>* out) {
  if (bytes.size() % sizeof(BlockHash) != 0) return false;
  out->resize(bytes.size() / sizeof(BlockHash));
  if (!out->empty()) std::memcpy(out->data(), bytes.data(), bytes.size());
  return true;
}

WorkerRole GetRole(v1::Role role) {
  switch (role) {
    case v1::ROLE_PREFILL:
      return WorkerRole::kPrefill;
    case v1::ROLE_DECODE:
      return WorkerRole::kDecode;
    default:
      return WorkerRole::kUnknown;
  }
}

}  // namespace

v1::DecodeRequest ToProto(const GenerateSpec& spec, const CallParameters& parameters,
                          const std::optional<KvSourceRank>& source) {
  v1::DecodeRequest request;
  SetSpec(spec, parameters, request.mutable_spec());
  request.set_rank(parameters.rank);
  if (source) SetSource(*source, request.mutable_source());
  return request;
}

v1::PrefillRequest ToProto(const GenerateSpec& spec, const CallParameters& parameters, RankRef reader,
                           Epoch reader_epoch) {
  v1::PrefillRequest request;
  SetSpec(spec, parameters, request.mutable_spec());
  request.set_rank(parameters.rank);
  SetId(reader_epoch, request.mutable_reader_epoch());
  request.set_reader_rank(reader.rank);
  return request;
}

v1::ShareRequest ToProto(const MoveParameters& parameters, uint32_t reader_rank, Epoch reader_epoch) {
  v1::ShareRequest request;
  SetMove(parameters, request.mutable_move());
  request.set_rank(parameters.rank);
  SetId(reader_epoch, request.mutable_reader_epoch());
  request.set_reader_rank(reader_rank);
  return request;
}

v1::FetchRequest ToProto(const MoveParameters& parameters, const KvSourceRank& source) {
  v1::FetchRequest request;
  SetMove(parameters, request.mutable_move());
  request.set_rank(parameters.rank);
  SetSource(source, request.mutable_source());
  return request;
}

v1::ResumeRequest ToProto(const ResumeParameters& parameters) {
  v1::ResumeRequest request;
  SetId(parameters.stream, request.mutable_stream());
  request.mutable_attempt()->set_claim(parameters.attempt.claim);
  request.mutable_attempt()->set_n(parameters.attempt.n);
  SetId(parameters.principal, request.mutable_principal());
  request.set_position(parameters.position);
  return request;
}

v1::RecordRequest RecordRequestOf(StreamId stream, Id128 principal) {
  v1::RecordRequest request;
  SetId(stream, request.mutable_stream());
  SetId(principal, request.mutable_principal());
  return request;
}

v1::KeepRequest KeepRequestOf(const GenerateSpec& spec, Attempt attempt) {
  v1::KeepRequest request;
  SetSpec(spec, {.attempt = attempt}, request.mutable_spec());
  return request;
}

v1::StopRequest StopRequestOf(StreamId stream, Attempt attempt) {
  v1::StopRequest request;
  SetId(stream, request.mutable_stream());
  request.mutable_attempt()->set_claim(attempt.claim);
  request.mutable_attempt()->set_n(attempt.n);
  return request;
}

std::optional<DecodeMessage> FromProto(const v1::DecodeEvent& event) {
  switch (event.event_case()) {
    case v1::DecodeEvent::kAccepted:
      return AcceptedMessage{GetId(event.accepted().epoch()), event.accepted().cached_tokens()};
    case v1::DecodeEvent::kToken:
      return TokenMessage{GetToken(event.token()), event.cached_tokens()};
    case v1::DecodeEvent::kFinished:
      return FinishedMessage{GetFinish(event.finished().reason()), GetOutcome(event.finished().kv()),
                             event.finished().inexact()};
    default:
      return std::nullopt;
  }
}

std::optional<PrefillMessage> FromProto(const v1::PrefillEvent& event) {
  switch (event.event_case()) {
    case v1::PrefillEvent::kFirstToken:
      return FirstTokenMessage{GetToken(event.first_token()), event.cached_tokens(),
                               GetFinish(event.finish())};
    case v1::PrefillEvent::kHandoff:
      return HandoffMessage{GetOutcome(event.handoff().outcome()), event.handoff().detail()};
    default:
      return std::nullopt;
  }
}

std::optional<ShareMessage> FromProto(const v1::ShareEvent& event) {
  switch (event.event_case()) {
    case v1::ShareEvent::kShared:
      return SharedMessage{event.shared().tokens()};
    case v1::ShareEvent::kEnded:
      return HandoffMessage{GetOutcome(event.ended().outcome()), event.ended().detail()};
    default:
      return std::nullopt;
  }
}

std::optional<FetchMessage> FromProto(const v1::FetchEvent& event) {
  if (!event.has_fetched()) return std::nullopt;
  const v1::PrefixFetched& fetched = event.fetched();
  return FetchedMessage{GetOutcome(fetched.outcome()), fetched.cached_tokens(), fetched.fetched_tokens(),
                        fetched.detail()};
}

std::optional<RecordReply> FromProto(const v1::RecordEvent& event) {
  const v1::GenerateSpec& spec = event.spec();
  if (spec.card().empty() || spec.prompt_tokens() == 0 ||
      spec.prompt_tokens() > static_cast<uint32_t>(spec.tokens_size()) ||
      event.scored_size() != event.tokens_size()) {
    return std::nullopt;
  }
  RecordMessage record{.spec = GetSpec(spec),
                       .attempt = {spec.attempt().claim(), spec.attempt().n()},
                       .scored = {event.scored().begin(), event.scored().end()},
                       .finish = GetFinish(event.finish()),
                       .inexact = event.inexact(),
                       .live = event.live(),
                       .rank = event.rank(),
                       .cached_tokens = event.cached_tokens()};
  for (const v1::Token& token : event.tokens()) {
    if (token.position() != record.tokens.size()) return std::nullopt;
    record.tokens.push_back(GetToken(token));
  }
  return record;
}

std::optional<ToldMessage> FromProto(const v1::KeepEvent&) {
  return std::nullopt;
}
std::optional<ToldMessage> FromProto(const v1::StopEvent&) {
  return std::nullopt;
}

std::optional<WatchMessage> FromProto(const v1::WatchEvent& event) {
  WorkerReport report{.epoch = GetId(event.epoch()),
                      .number = event.number(),
                      .role = GetRole(event.role()),
                      .draining = event.draining(),
                      .healthy = event.healthy()};
  const v1::WorkerInfo& info = event.info();
  report.facts = {.name = info.name(),
                  .model = info.model(),
                  .fingerprint = info.fingerprint(),
                  .kv = {info.kv().endpoint(), info.kv().curve_public_key(), GetId(info.kv().epoch())},
                  .page_tokens = info.page_tokens(),
                  .max_context = info.max_context(),
                  .accepts_inexact = info.accepts_inexact_kv(),
                  .model_id = info.model_id(),
                  .publishes_blocks = info.publishes_blocks()};
  for (const v1::RankLoad& rank : event.ranks()) {
    const v1::Pages& pages = rank.pages();
    report.ranks.push_back({.rank = rank.rank(),
                            .running = rank.running(),
                            .waiting = rank.waiting(),
                            .backlog_tokens = rank.backlog_tokens(),
                            .pages = {pages.free(), pages.used(), pages.cached(), pages.pinned(),
                                      pages.pulling(), pages.quarantined()},
                            .context_tokens = rank.context_tokens()});
  }
  for (const v1::BlockChanges& blocks : event.blocks()) {
    PrefixChange change{.rank = blocks.rank(), .restart = blocks.restart()};
    if (!GetBlocks(blocks.stored(), &change.stored) || !GetBlocks(blocks.evicted(), &change.evicted))
      return std::nullopt;
    report.blocks.push_back(std::move(change));
  }
  return report;
}

}  // namespace baton::router
