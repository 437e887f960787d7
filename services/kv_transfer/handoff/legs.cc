#include "services/kv_transfer/handoff/legs.h"

#include <algorithm>
#include <set>

#include "absl/strings/str_format.h"

namespace baton {
namespace {

int64_t Cells(const KvShard& shard) {
  return shard.empty() ? 0
                       : int64_t{shard.end_layer - shard.first_layer} * (shard.end_head - shard.first_head);
}

// Where the shards of `owners` begin or end within [begin, end), the two included.
template <typename Begin, typename End>
std::vector<int32_t> Cuts(absl::Span<const KvShard> owners, int32_t begin, int32_t end, Begin begin_of,
                          End end_of) {
  std::set<int32_t> cuts{begin, end};
  for (const KvShard& owner : owners) {
    cuts.insert(std::clamp(begin_of(owner), begin, end));
    cuts.insert(std::clamp(end_of(owner), begin, end));
  }
  return {cuts.begin(), cuts.end()};
}

bool Contains(const KvShard& outer, const KvShard& inner) {
  return Intersect(outer, inner) == inner;
}

// Makes one leg of two of the same pair that are neighbours.
bool Merge(HandoffLeg& leg, const HandoffLeg& next) {
  if (leg.owner != next.owner || leg.reader != next.reader) return false;
  KvShard& a = leg.part;
  const KvShard& b = next.part;
  const bool same_layers = a.first_layer == b.first_layer && a.end_layer == b.end_layer;
  const bool same_heads = a.first_head == b.first_head && a.end_head == b.end_head;
  if (same_layers && a.end_head == b.first_head) {
    a.end_head = b.end_head;
  } else if (same_heads && a.end_layer == b.first_layer) {
    a.end_layer = b.end_layer;
  } else {
    return false;
  }
  return true;
}

void Add(HandoffLeg leg, std::vector<HandoffLeg>* legs) {
  for (auto it = legs->begin(); it != legs->end(); ++it) {
    if (!Merge(*it, leg)) continue;
    leg = *it;
    legs->erase(it);
    return Add(leg, legs);
  }
  legs->push_back(leg);
}

}  // namespace

KvShard Intersect(const KvShard& a, const KvShard& b) {
  return {std::max(a.first_layer, b.first_layer), std::min(a.end_layer, b.end_layer),
          std::max(a.first_head, b.first_head), std::min(a.end_head, b.end_head)};
}

absl::StatusOr<std::vector<HandoffLeg>> PlanLegs(absl::Span<const KvShard> owners,
                                                 absl::Span<const KvShard> readers) {
  const auto is_empty = [](const KvShard& shard) { return shard.empty(); };
  if (std::any_of(owners.begin(), owners.end(), is_empty) ||
      std::any_of(readers.begin(), readers.end(), is_empty)) {
    return absl::InvalidArgumentError("a shard keeps nothing");
  }
  std::vector<HandoffLeg> legs;
  std::vector<int64_t> load(owners.size());
  for (uint32_t reader = 0; reader < readers.size(); ++reader) {
    const KvShard& wanted = readers[reader];
    const std::vector<int32_t> layers = Cuts(
        owners, wanted.first_layer, wanted.end_layer, [](const KvShard& s) { return s.first_layer; },
        [](const KvShard& s) { return s.end_layer; });
    const std::vector<int32_t> heads = Cuts(
        owners, wanted.first_head, wanted.end_head, [](const KvShard& s) { return s.first_head; },
        [](const KvShard& s) { return s.end_head; });
    for (size_t l = 0; l + 1 < layers.size(); ++l) {
      for (size_t h = 0; h + 1 < heads.size(); ++h) {
        const KvShard cell{layers[l], layers[l + 1], heads[h], heads[h + 1]};
        std::optional<uint32_t> best;
        for (uint32_t owner = 0; owner < owners.size(); ++owner) {
          if (Contains(owners[owner], cell) && (!best || load[owner] < load[*best])) best = owner;
        }
        if (!best) {
          return absl::InvalidArgumentError(
              absl::StrFormat("no owner has layers [%d, %d) of KV heads [%d, %d)", cell.first_layer,
                              cell.end_layer, cell.first_head, cell.end_head));
        }
        load[*best] += Cells(cell);
        Add({*best, reader, cell}, &legs);
      }
    }
  }
  return legs;
}

bool LegSet::End(size_t leg, State state) {
  if (leg >= legs_.size() || legs_[leg] != State::kOpen) return false;
  legs_[leg] = state;
  --open_;
  unfenced_ += state == State::kUnfenced;
  return true;
}

void LegSet::Lose(const absl::Status& why, std::vector<size_t>* cancel) {
  if (!why_lost_.ok()) return;
  why_lost_ = why;
  for (size_t leg = 0; leg < legs_.size(); ++leg) {
    if (legs_[leg] == State::kOpen) cancel->push_back(leg);
  }
}

void LegSet::OnHeld(size_t leg, TokenId first_token, std::vector<size_t>* cancel) {
  if (!End(leg, State::kHeld)) return;
  if (!first_token_.has_value()) first_token_ = first_token;
  if (*first_token_ != first_token) Lose(absl::DataLossError("the legs disagree on the first token"), cancel);
}

void LegSet::OnLost(size_t leg, const absl::Status& why, bool fenced, std::vector<size_t>* cancel) {
  if (!End(leg, fenced ? State::kOver : State::kUnfenced)) return;
  Lose(why.ok() ? absl::AbortedError("lost") : why, cancel);
}

void LegSet::OnFenced(size_t leg) {
  if (leg >= legs_.size() || legs_[leg] != State::kUnfenced) return;
  legs_[leg] = State::kOver;
  --unfenced_;
}

LegSet::Outcome LegSet::outcome() const {
  if (!why_lost_.ok()) return Outcome::kLost;
  return open_ == 0 && !legs_.empty() ? Outcome::kHeld : Outcome::kOpen;
}

}  // namespace baton
