#pragma once

// The inside of an EngineCore, shared by its sources: engine_core.cc (commands), engine_core_blocks.cc (moves
// of prefix blocks), engine_core_pages.cc (pages and prefix blocks), engine_core_step.cc (the step).

#include <memory>
#include <tuple>
#include <utility>
#include <vector>

#include "absl/container/btree_map.h"
#include "absl/container/btree_set.h"
#include "absl/container/flat_hash_map.h"
#include "absl/status/statusor.h"
#include "engine/cache/page_cache.h"
#include "engine/engine_core.h"
#include "engine/engine_core_spec.h"
#include "engine/sampling/token_history.h"
#include "engine/scheduler/scheduler.h"

namespace baton {

enum class SequenceKind : uint8_t { kServe, kPrefill };
enum class Phase : uint8_t { kWaiting, kRunning, kPulling };

struct Sequence {
  SeqId id = 0;
  SequenceSpec spec;  // spec.tokens grows as tokens are generated
  SequenceKind kind = SequenceKind::kServe;
  Phase phase = Phase::kWaiting;
  uint64_t arrival = 0;
  bool preempted = false;
  bool offered = false;   // readers were told of pages of this kPrefill sequence
  bool released = false;  // and have ended

  int64_t computed = 0;  // tokens whose keys and values are in `pages`
  int64_t reused = -1;   // tokens found in the prefix cache at first, until told; -1: no pages yet
  PageLease pages;       // kUse; none while waiting
  PageLease pulling;     // kPull, behind `pages`; only while pulling

  std::vector<BlockHash> hashes;  // of the first full blocks of spec.tokens, as far as they were needed
  int64_t indexed = 0;            // leading blocks of `pages` that the prefix index names
  bool indexable = true;          // until a block is named by another page, or is not what we would compute

  TokenHistory history;  // kept only if the sampling parameters look at it

  int64_t length() const { return static_cast<int64_t>(spec.tokens.size()); }
  int64_t remaining() const { return length() - computed; }
  // Order of service: smaller first.
  using Rank = std::tuple<int64_t, bool, uint64_t>;
  Rank rank() const { return {-static_cast<int64_t>(spec.priority), !preempted, arrival}; }
};

// A FetchCommand that is not over.
struct BlockFetch {
  std::vector<BlockHash> hashes;
  PageLease cached;   // kUse: the first blocks
  PageLease pulling;  // kPull: those behind them
};

struct EngineCore::Impl final : public LayerSink {
  Impl(const EngineOptions& options, ModelRunner* runner, EngineEventSink* sink);

  // --- engine_core.cc
  void Handle(ServeCommand& command, MonoTime now);
  void Handle(PrefillCommand& command, MonoTime now);
  void Handle(ReserveCommand& command, MonoTime now);
  void Handle(AdoptCommand& command, MonoTime now);
  void Handle(RecomputeCommand& command, MonoTime now);
  void Handle(FencedCommand& command, MonoTime now);
  void Handle(CancelCommand& command, MonoTime now);
  void Handle(ReleaseCommand& command, MonoTime now);
  // Ok if `id` is new and there is room for one more.
  absl::Status CheckId(SeqId id) const;
  // A new sequence, of phase kWaiting but in no queue yet; null if it was refused, which has been told.
  Sequence* Accept(SeqId id, SequenceSpec& spec, SequenceKind kind, MonoTime now);
  Sequence* Find(SeqId id, Phase phase);
  void Enqueue(Sequence* sequence, Phase phase);
  void Dequeue(Sequence* sequence);
  // Ends the sequence. Pages that others may still read or write are retained, unless `fenced`.
  void End(Sequence* sequence, bool fenced);
  void Fail(Sequence* sequence, absl::Status status);
  // The reads into this sequence's quarantined pages are over; false if it has none.
  bool Unquarantine(SeqId id);
  bool ExpireDeadlines(MonoTime now);
  EngineLoad Load() const;
  // Tells the sink how the prefix cache has changed.
  void TellBlocks();

  // --- engine_core_blocks.cc
  void Handle(FetchCommand& command, MonoTime now);
  void Handle(PublishCommand& command, MonoTime now);
  void Handle(ShareCommand& command, MonoTime now);
  // Ends a fetch; false if there is none of that id.
  bool EndFetch(SeqId id, bool fenced);
  absl::StatusOr<std::vector<BlockHash>> WholeBlocks(absl::Span<const TokenId> tokens,
                                                     const Id128& salt) const;

  // --- engine_core_pages.cc
  // Hashes of the blocks that a prefix hit may cover: it leaves one token or more to compute.
  absl::Span<const BlockHash> MatchableHashes(Sequence* sequence);
  void ExtendHashes(Sequence* sequence, int64_t blocks);
  int64_t AdmissionPages(const Sequence& sequence) const;
  // Gives the sequence the prefix that the cache has and `pages` pages in all, the others held as `hold`;
  // false, having changed nothing, if there are not enough.
  bool TakePages(Sequence* sequence, int64_t pages, PageHold hold);
  bool Reserve(Sequence* sequence);
  // Whether `pages` of those available may go to a reservation that yields to waiting sequences of `priority`
  // and higher.
  bool MayReserve(int64_t pages, int32_t priority) const;
  // Names the full, computed blocks that have no name yet.
  void IndexBlocks(Sequence* sequence);
  void GiveBackPages(Sequence* sequence);
  // Pages that giving the sequence's back would make available.
  int64_t OwnPages(const Sequence& sequence) const;
  absl::Status CheckIntegrity() const;
  absl::Status CheckHolders() const;
  absl::Status CheckSequence(const Sequence& sequence) const;

  // --- engine_core_step.cc
  struct StepItem {
    Sequence* sequence;
    int64_t tokens;
  };
  bool Step(MonoTime now);
  Batch PlanStep();
  // Carries out a plan's page moves; the items that are ready to compute.
  std::vector<StepItem> Prepare(const Batch& batch);
  bool Admit(Sequence* sequence);
  void Preempt(Sequence* sequence);
  void Compute();
  void OnLayersDone(int first_layer, int end_layer) override;
  void EmitComputed(Sequence* sequence, int64_t begin, int64_t end, int first_layer, int end_layer,
                    bool from_cache);
  // Samples from `logits` and goes on with the token.
  void Advance(Sequence* sequence, absl::Span<float> logits);
  // Appends a token, tells of it, and ends the sequence if it was the last.
  void AppendToken(Sequence* sequence, TokenEvent event);

  const EngineOptions options;
  ModelRunner* const runner;
  EngineEventSink* const sink;
  const KvLayout layout;
  const SpecLimits limits;
  const Scheduler scheduler;
  PageCache cache;

  // After `cache`, whose pages they hold.
  absl::flat_hash_map<SeqId, std::unique_ptr<Sequence>> sequences;
  absl::btree_map<Sequence::Rank, Sequence*> waiting;
  absl::btree_map<Sequence::Rank, Sequence*> running;
  absl::btree_set<std::pair<MonoTime, SeqId>> deadlines;
  absl::flat_hash_map<SeqId, BlockFetch> fetches;
  // Pages that outlive what the engine does with them: pinned for readers until Release, or quarantined until
  // Fenced.
  absl::flat_hash_map<SeqId, PageLease> retained;

  uint64_t arrivals = 0;
  bool blocked = false;  // the last step could do nothing, and nothing has happened since
  EngineLoad counters;   // only its counters
  std::vector<Sequence*> running_order, waiting_order;  // what the step's plan refers to
  std::vector<StepItem> step_items;                     // what the step computes
  std::vector<float> logits;
};

}  // namespace baton
