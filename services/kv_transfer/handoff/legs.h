#pragma once

// A handoff between sharded ranks (tensor or layer parallel) is a set of legs, one for each pair of an
// owner's and a reader's shard that have units in common; each leg is a handoff of its own, and the KV counts
// only when every leg is held (docs/handoff.md). Plain decisions: not thread-safe.

#include <cstdint>
#include <optional>
#include <vector>

#include "absl/status/status.h"
#include "absl/status/statusor.h"
#include "absl/types/span.h"
#include "common/ids.h"

namespace baton {

// The part of a model's KV that one shard keeps: layers and KV heads as the whole model numbers them. With
// more shards than KV heads, several keep the same heads.
struct KvShard {
  int32_t first_layer = 0, end_layer = 0;
  int32_t first_head = 0, end_head = 0;
  bool operator==(const KvShard&) const = default;
  bool empty() const { return first_layer >= end_layer || first_head >= end_head; }
};
KvShard Intersect(const KvShard& a, const KvShard& b);

struct HandoffLeg {
  uint32_t owner = 0, reader = 0;  // indices of shards
  KvShard part;
  bool operator==(const HandoffLeg&) const = default;
};

// Legs that bring every reader's shard each of its units exactly once, from the owner who has the fewest
// units to serve where several have them. InvalidArgument: some unit is nobody's, or a shard is empty.
absl::StatusOr<std::vector<HandoffLeg>> PlanLegs(absl::Span<const KvShard> owners,
                                                 absl::Span<const KvShard> readers);

// What becomes of the legs together.
class LegSet {
 public:
  enum class Outcome { kOpen, kHeld, kLost };

  explicit LegSet(size_t legs) : legs_(legs), open_(legs), unfenced_(0) {}

  // A leg's end is told once. The legs that are to be cancelled because of it are appended to `cancel`.
  void OnHeld(size_t leg, TokenId first_token, std::vector<size_t>* cancel);
  void OnLost(size_t leg, const absl::Status& why, bool fenced, std::vector<size_t>* cancel);
  void OnFenced(size_t leg);

  // kLost as soon as one leg is; kHeld when all are, with one first token.
  Outcome outcome() const;
  const absl::Status& why_lost() const { return why_lost_; }
  TokenId first_token() const { return *first_token_; }  // of kHeld
  // Lost, and no late read can touch any shard's pages: they may be used again.
  bool fenced() const { return outcome() == Outcome::kLost && open_ == 0 && unfenced_ == 0; }

 private:
  enum class State { kOpen, kHeld, kUnfenced, kOver };
  bool End(size_t leg, State state);
  void Lose(const absl::Status& why, std::vector<size_t>* cancel);

  std::vector<State> legs_;
  size_t open_;
  size_t unfenced_;
  std::optional<TokenId> first_token_;
  absl::Status why_lost_;
};

}  // namespace baton
