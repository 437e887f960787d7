#include "services/router/policy/policies/slo_load.h"

#include <algorithm>

namespace baton::router {
namespace {

constexpr uint64_t kFewSamples = 8;
constexpr size_t kSpareRanks = 64;
constexpr size_t kMostFits = 64;  // kinds of ranks

double SecondsBetween(MonoTime from, MonoTime to) {
  return std::max(0.0, absl::ToDoubleSeconds(to - from));
}

}  // namespace

SloLoad::Rank& SloLoad::Of(const RankView& view) {
  Rank& rank = ranks_[KeyOf(view.ref)];
  if (rank.fits == nullptr || rank.role != view.role) {
    rank.role = view.role;
    rank.fits = FitsOf(view.role, view.fingerprint);
    rank.prefill_role = FitsOf(WorkerRole::kPrefill, view.fingerprint);
  }
  return rank;
}

std::shared_ptr<SloLoad::Fits> SloLoad::FitsOf(WorkerRole role, const std::string& fingerprint) {
  if (fits_.size() > kMostFits) fits_.clear();
  std::shared_ptr<Fits>& fits = fits_[{static_cast<int>(role), fingerprint}];
  if (fits == nullptr) fits = std::make_shared<Fits>();
  return fits;
}

void SloLoad::Look(const RankView& view) {
  Rank& rank = Of(view);
  // A report that is a little old still counts own prompts that are done: only what stays is others'.
  const double others = std::max(0.0, double(view.backlog_tokens) - rank.pending_tokens);
  rank.others_tokens = std::min(others, (rank.others_tokens + others) / 2);
  rank.reported_streams = double(view.Streams());
  rank.reported_context = double(view.context_tokens + view.fresh_context);
}

void SloLoad::Retain(absl::Span<const RankView> ranks) {
  if (ranks_.size() <= 2 * ranks.size() + kSpareRanks) return;
  absl::flat_hash_map<Key, Rank> kept;
  for (const RankView& view : ranks) {
    if (auto node = ranks_.extract(KeyOf(view.ref)); !node.empty()) kept.insert(std::move(node));
  }
  ranks_ = std::move(kept);
}

double SloLoad::WaitSeconds(const RankView& view, MonoTime now) {
  Rank& rank = Of(view);
  double wait = rank.pending_s;
  if (!rank.pending.empty()) {
    const Pending& head = rank.pending.front();
    wait -= std::min(head.seconds, SecondsBetween(std::max(head.placed, rank.last_first), now));
  }
  if (rank.others_tokens > 0) wait += PrefillSeconds(view, {.uncached = rank.others_tokens});
  return std::max(0.0, wait);
}

double SloLoad::PrefillSeconds(const RankView& view, const SloPrompt& prompt) {
  return PrefillSeconds(Of(view), prompt);
}

double SloLoad::PrefillSeconds(const Rank& rank, const SloPrompt& prompt) {
  // Until some prompts have been computed by ranks of this role, the other role's fit is the better guess.
  const bool few = rank.fits->prefill.samples() < kFewSamples;
  const PrefillFit& fit = few ? rank.prefill_role->prefill : rank.fits->prefill;
  return fit.Seconds(prompt.uncached, prompt.held) * rank.prefill_speed.slowness();
}

SloDecoding SloLoad::DecodingOn(const Rank& rank) {
  return {.streams = std::max(rank.streams, rank.reported_streams),
          .context = std::max(rank.context, rank.reported_context),
          .computing = rank.pending.empty() && rank.others_tokens <= 0 ? 0.0 : 1.0};
}

SloDecoding SloLoad::DecodingOn(const RankView& view) {
  return DecodingOn(Of(view));
}

double SloLoad::GapSeconds(const RankView& view, const SloDecoding& decoding) {
  const Rank& rank = Of(view);
  return rank.fits->decode.Seconds(decoding.streams, decoding.context, decoding.computing) *
         rank.decode_speed.slowness();
}

void SloLoad::Placing(uint64_t stream, const SloPrompt& prompt) {
  placing_stream_ = stream;
  placing_ = prompt;
}

void SloLoad::Learn(const PolicyFeedback& feedback) {
  if (const auto* placed = std::get_if<StreamPlaced>(&feedback)) return Placed(*placed);
  if (const auto* first = std::get_if<StreamFirstToken>(&feedback)) return FirstToken(*first);
  if (const auto* tokens = std::get_if<StreamTokens>(&feedback)) return Tokens(*tokens);
  if (const auto* finished = std::get_if<StreamFinished>(&feedback)) return Ended(finished->stream);
  if (const auto* refused = std::get_if<StreamRefused>(&feedback)) return Ended(refused->stream);
}

void SloLoad::Placed(const StreamPlaced& event) {
  const RankRef decodes = event.placement.decode;
  if (const auto moved = streams_.find(event.stream); moved != streams_.end()) {
    Stream& stream = moved->second;  // it goes on elsewhere
    ranks_[KeyOf(stream.decodes)].streams -= 1;
    ranks_[KeyOf(stream.decodes)].context -= stream.context;
    stream.decodes = decodes;
  } else {
    if (placing_stream_ != event.stream) return;  // was not placed by this policy
    Stream& stream = streams_[event.stream];
    stream.prompt = placing_;
    stream.decodes = decodes;
    stream.computes = event.placement.prefill.value_or(decodes);
    stream.context = stream.prompt.uncached + stream.prompt.held;
    Rank& rank = ranks_[KeyOf(stream.computes)];
    const double seconds = PrefillSeconds(rank, stream.prompt);
    rank.pending.push_back({event.stream, seconds, stream.prompt.uncached, event.now});
    rank.pending_s += seconds;
    rank.pending_tokens += stream.prompt.uncached;
  }
  Rank& rank = ranks_[KeyOf(decodes)];
  rank.streams += 1;
  rank.context += streams_[event.stream].context;
}

void SloLoad::Unqueue(RankRef ref, uint64_t stream) {
  Rank& rank = ranks_[KeyOf(ref)];
  const auto it = std::find_if(rank.pending.begin(), rank.pending.end(),
                               [stream](const Pending& pending) { return pending.stream == stream; });
  if (it == rank.pending.end()) return;
  rank.pending_s -= it->seconds;
  rank.pending_tokens -= it->tokens;
  rank.pending.erase(it);
  if (rank.pending.empty()) rank.pending_s = rank.pending_tokens = 0;
}

void SloLoad::FirstToken(const StreamFirstToken& event) {
  const auto it = streams_.find(event.stream);
  if (it == streams_.end() || it->second.first_token) return;
  Stream& stream = it->second;
  stream.first_token = true;
  Rank& rank = ranks_[KeyOf(stream.computes)];
  const auto pending = std::find_if(rank.pending.begin(), rank.pending.end(),
                                    [&](const Pending& one) { return one.stream == event.stream; });
  if (pending != rank.pending.end() && rank.fits != nullptr) {
    const double took = SecondsBetween(std::max(pending->placed, rank.last_first), event.now);
    const double prompt = stream.prompt.uncached + stream.prompt.held;
    const double held = std::min<double>(event.cached_tokens, prompt - 1);
    PrefillFit& fit = rank.fits->prefill;
    rank.prefill_speed.Observe(fit.Seconds(prompt - held, held), took);
    fit.Observe(prompt - held, held, took);
  }
  rank.last_first = event.now;
  Unqueue(stream.computes, event.stream);
}

void SloLoad::Tokens(const StreamTokens& event) {
  const auto it = streams_.find(event.stream);
  if (it == streams_.end() || event.tokens == 0) return;
  Stream& stream = it->second;
  Rank& rank = ranks_[KeyOf(stream.decodes)];
  stream.context += event.tokens;
  rank.context += event.tokens;
  if (rank.fits == nullptr) return;
  DecodeFit& fit = rank.fits->decode;
  const SloDecoding decoding = DecodingOn(rank);
  const double gap = absl::ToDoubleSeconds(event.took) / event.tokens;
  rank.decode_speed.Observe(fit.Seconds(decoding.streams, decoding.context, decoding.computing), gap);
  fit.Observe(decoding.streams, decoding.context, decoding.computing, gap);
}

void SloLoad::Ended(uint64_t id) {
  const auto it = streams_.find(id);
  if (it == streams_.end()) return;
  Unqueue(it->second.computes, id);
  Rank& rank = ranks_[KeyOf(it->second.decodes)];
  rank.streams = std::max(0.0, rank.streams - 1);
  rank.context = rank.streams == 0 ? 0 : std::max(0.0, rank.context - it->second.context);
  streams_.erase(it);
}

}  // namespace baton::router
