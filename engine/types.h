#pragma once

// Every message into and out of an engine, as plain data. The worker, the engine and the simulator share
// these.

#include <cstdint>
#include <string>
#include <utility>
#include <variant>
#include <vector>

#include "absl/status/status.h"
#include "absl/types/span.h"
#include "common/block_hash.h"
#include "common/clock.h"
#include "common/ids.h"

namespace baton {

using SeqId = uint64_t;  // chosen by the engine's caller, never used twice in an engine's life

struct SamplingParams {
  float temperature = 1.0f;  // 0: greedy
  int32_t top_k = 0;         // 0: off
  float top_p = 1.0f;
  float min_p = 0.0f;
  float presence_penalty = 0.0f;
  float frequency_penalty = 0.0f;
  float repetition_penalty = 1.0f;
  std::vector<std::pair<TokenId, float>> logit_bias;
  uint64_t seed = 0;
  uint32_t choice_index = 0;
};

struct SequenceSpec {
  std::vector<TokenId> tokens;  // the prompt, and on a replay the tokens already emitted after it
  int64_t prompt_tokens = 0;    // length of the original prompt, <= tokens.size()
  SamplingParams sampling;
  int64_t max_tokens = 0;  // generated tokens in all, those already emitted included
  std::vector<TokenId>
      stop_tokens;            // end generation when sampled, and are not emitted as text (EOS included here)
  bool ignore_eos = false;    // then stop_tokens do not end generation
  int32_t top_logprobs = -1;  // -1: none; 0..20: the token's logprob and this many alternatives
  Id128 cache_salt;           // prefix blocks are shared only within equal salts
  int32_t priority = 0;       // higher first
  MonoTime deadline = absl::InfiniteFuture();
};

// --- commands
// -------------------------------------------------------------------------------------------------------

// Computes the prompt and decodes, here.
struct ServeCommand {
  SeqId id;
  SequenceSpec spec;
};
// Computes the prompt and samples the first token; its pages stay pinned for readers until ReleaseCommand.
struct PrefillCommand {
  SeqId id;
  SequenceSpec spec;
};
// Reserves pages for spec.tokens, whose keys and values another engine computes: ReservedEvent, or
// FailedEvent (ResourceExhausted) at once; nothing waits for pages here. The pages are of class `pulling`.
struct ReserveCommand {
  SeqId id;
  SequenceSpec spec;
};
// The handoff was *held*: the pages are valid; decoding starts after `first_token` (which is emitted as the
// next position as well, without log-probabilities: whoever sampled it has told them).
struct AdoptCommand {
  SeqId id;
  TokenId first_token;
  bool exact = true;  // false: not what this engine would have computed; then no other sequence shares it
};
// The handoff was *lost*. If fenced, no late read can touch the pages and they are reused for the recompute;
// otherwise they are quarantined until FencedCommand and others are taken. The sequence goes on as if served
// here.
struct RecomputeCommand {
  SeqId id;
  bool fenced;
};
struct FencedCommand {
  SeqId id;
};
// Ends the sequence in whatever state it is; no event follows but those already under way. A sequence whose
// pages are being pulled leaves them quarantined until FencedCommand, unless fenced; pages of a
// PrefillCommand that a ComputedEvent told of stay pinned until ReleaseCommand, unless fenced.
struct CancelCommand {
  SeqId id;
  bool fenced;
};
// The last lease on a PrefillCommand's pages ended. To be sent once for every PrefillCommand of which a
// ComputedEvent told, whatever became of it. Before PrefilledEvent: the sequence goes on, but tells of no
// further pages and pins none.
struct ReleaseCommand {
  SeqId id;
};

// The next three move prefix blocks between engines without a sequence: an id names the move, and is of the
// same space as those of sequences. A block is a page's worth of tokens; what is left over moves nowhere.

// Reserves pages for the blocks of `tokens` that the prefix cache lacks, whose keys and values another engine
// has: ReservedEvent, or FailedEvent at once (ResourceExhausted; FailedPrecondition without a prefix cache).
// It yields to every waiting sequence. Then PublishCommand, or as for a ReserveCommand CancelCommand (not
// fenced: quarantined until FencedCommand).
struct FetchCommand {
  SeqId id;
  std::vector<TokenId> tokens;
  Id128 cache_salt;
};
// The handoff of a FetchCommand's pages was *held*: only now do their blocks become visible, as cached
// prefixes.
struct PublishCommand {
  SeqId id;
};
// Pins the longest run of the blocks of `tokens` that this rank's prefix cache holds, those of sequences that
// go on decoding included: SharedEvent, or FailedEvent. Pinned pages are neither written nor evicted until
// ReleaseCommand, which must follow every SharedEvent. Many may share the same pages.
struct ShareCommand {
  SeqId id;
  std::vector<TokenId> tokens;
  Id128 cache_salt;
};

using EngineCommand =
    std::variant<ServeCommand, PrefillCommand, ReserveCommand, AdoptCommand, RecomputeCommand, FencedCommand,
                 CancelCommand, ReleaseCommand, FetchCommand, PublishCommand, ShareCommand>;

// --- events
// ---------------------------------------------------------------------------------------------------------

enum class FinishReason : uint8_t { kNone, kStop, kLength };

struct TopLogprob {
  TokenId token;
  float logprob;
};

// One generated token. `position` counts generated tokens from 0. Log-probabilities are of the model's own
// distribution, before penalties, bias and temperature.
struct TokenEvent {
  SeqId id;
  int64_t position;
  TokenId token;
  float logprob = 0;
  std::vector<TopLogprob> top;
  FinishReason finish = FinishReason::kNone;  // not kNone: the sequence is over and its pages are given back
  int64_t cached_tokens = 0;  // with the first one computed here: tokens found in the prefix cache
};
// pages[i] will hold tokens [i * PageTokens, ...). Tokens [0, cached_tokens) are in the engine's own prefix
// cache and need not be pulled; cached_tokens is a multiple of the page size and less than the number of
// tokens; of a FetchCommand, where pages are of whole blocks only, all may be cached (then Publish at once).
struct ReservedEvent {
  SeqId id;
  std::vector<PageId> pages;
  int64_t cached_tokens;
  int64_t tokens = 0;  // that the pages are for
};
// Keys and values of tokens [begin, end), layers [first_layer, end_layer), of a PrefillCommand are complete
// in `pages` (indexed by page number from the start of the sequence) and do not change until ReleaseCommand.
// Cached prefixes come first, for all layers at once.
struct ComputedEvent {
  SeqId id;
  int64_t begin, end;
  int32_t first_layer, end_layer;
  std::vector<PageId> pages;
  bool from_cache;
};
// Answers ShareCommand: pages[i] holds tokens [i * PageTokens, ...), all `layers`, of the first `tokens`
// tokens asked for; 0 if the first block is not known.
struct SharedEvent {
  SeqId id;
  std::vector<PageId> pages;
  int64_t tokens;
  int32_t layers;
};
// After the last ComputedEvent of a PrefillCommand.
struct PrefilledEvent {
  SeqId id;
  TokenEvent first;
};
// The sequence was given up: refused, out of time, or failed. Its pages are given back, as by an unfenced
// CancelCommand: those being pulled are quarantined until FencedCommand (or a fenced Cancel or Recompute, or
// Adopt), those offered to readers pinned until ReleaseCommand.
struct FailedEvent {
  SeqId id;
  absl::Status status;
};

using EngineEvent =
    std::variant<TokenEvent, ReservedEvent, ComputedEvent, SharedEvent, PrefilledEvent, FailedEvent>;

// Receives events on the engine's thread, in order; must not block and must not call back into the engine.
class EngineEventSink {
 public:
  virtual ~EngineEventSink() = default;
  virtual void OnEngineEvent(EngineEvent event) = 0;
  // The prefix cache has changed, in this order, since it was last told of; it began empty.
  virtual void OnBlocks(absl::Span<const BlockChange>) {}
};

// --- load
// -----------------------------------------------------------------------------------------------------------

// Every page is in exactly one class (DESIGN section 5).
struct PageCounts {
  int64_t free = 0, used = 0, cached = 0, pinned = 0, pulling = 0, quarantined = 0;
  int64_t total() const { return free + used + cached + pinned + pulling + quarantined; }
};

struct EngineLoad {
  PageCounts pages;
  int64_t running = 0;         // sequences that decode
  int64_t waiting = 0;         // sequences not yet started or preempted
  int64_t backlog_tokens = 0;  // prompt tokens not yet computed
  int64_t context_tokens = 0;  // tokens of running sequences
  // Counters since start.
  int64_t preemptions = 0, prefix_hits = 0, prefix_hit_tokens = 0, computed_tokens = 0, generated_tokens = 0,
          steps = 0;
  int64_t fetched_tokens = 0, shared_tokens = 0;  // prefix blocks published; pinned for readers
  int64_t ignored_commands = 0;  // for ids not known, or not in a state that the command fits
};

}  // namespace baton
