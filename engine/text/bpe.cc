#include "engine/text/bpe.h"

#include <algorithm>

namespace baton {
namespace {

constexpr size_t kShortWord = 16;

uint64_t PairKey(TokenId left, TokenId right) {
  return static_cast<uint64_t>(static_cast<uint32_t>(left)) << 32 | static_cast<uint32_t>(right);
}

struct Candidate {
  uint32_t rank;
  int32_t left;  // index of the left symbol
  TokenId left_id;
  TokenId right_id;
  TokenId merged;
};

struct LowestRankLeftmostFirst {
  bool operator()(const Candidate& a, const Candidate& b) const {
    return a.rank != b.rank ? a.rank > b.rank : a.left > b.left;
  }
};

struct Symbol {
  TokenId id;  // -1: merged into its left neighbour
  int32_t previous;
  int32_t next;  // -1: none
};

}  // namespace

void BpeMerger::AddMerge(TokenId left, TokenId right, TokenId merged) {
  merges_.emplace(PairKey(left, right), Merge{static_cast<uint32_t>(merges_.size()), merged});
}

const BpeMerger::Merge* BpeMerger::Find(TokenId left, TokenId right) const {
  const auto found = merges_.find(PairKey(left, right));
  return found == merges_.end() ? nullptr : &found->second;
}

uint64_t BpeMerger::Encode(absl::string_view word, std::vector<TokenId>* out) const {
  const size_t begin = out->size();
  for (const char byte : word) {
    const TokenId id = byte_tokens_[static_cast<uint8_t>(byte)];
    if (id >= 0) out->push_back(id);
  }
  return out->size() - begin <= kShortWord ? MergeShort(out, begin) : MergeLong(out, begin);
}

// Keeps the merge of each pair beside it and looks for the lowest rank: no allocation, and n is small.
uint64_t BpeMerger::MergeShort(std::vector<TokenId>* out, size_t begin) const {
  TokenId* ids = out->data() + begin;
  size_t count = out->size() - begin;
  std::array<const Merge*, kShortWord> merges{};
  uint64_t steps = 0;
  for (size_t i = 0; i + 1 < count; ++i, ++steps) merges[i] = Find(ids[i], ids[i + 1]);
  while (true) {
    size_t best = count;
    for (size_t i = 0; i + 1 < count; ++i) {
      if (merges[i] != nullptr && (best == count || merges[i]->rank < merges[best]->rank)) best = i;
    }
    if (best == count) break;
    ids[best] = merges[best]->merged;
    std::copy(ids + best + 2, ids + count, ids + best + 1);
    std::copy(merges.begin() + best + 1, merges.begin() + count, merges.begin() + best);
    --count;
    merges[best] = best + 1 < count ? Find(ids[best], ids[best + 1]) : nullptr;
    if (best > 0) merges[best - 1] = Find(ids[best - 1], ids[best]);
    steps += 2;
  }
  out->resize(begin + count);
  return steps;
}

uint64_t BpeMerger::MergeLong(std::vector<TokenId>* out, size_t begin) const {
  uint64_t steps = 0;
  const TokenId* ids = out->data() + begin;
  const auto count = static_cast<int32_t>(out->size() - begin);
  std::vector<Symbol> symbols(static_cast<size_t>(count));
  for (int32_t i = 0; i < count; ++i) symbols[i] = {ids[i], i - 1, i + 1 < count ? i + 1 : -1};

  std::vector<Candidate> heap;
  heap.reserve(symbols.size());
  const LowestRankLeftmostFirst order;
  const auto consider = [&](int32_t left) {
    if (left < 0 || symbols[left].next < 0) return;
    ++steps;
    const TokenId left_id = symbols[left].id;
    const TokenId right_id = symbols[symbols[left].next].id;
    if (const Merge* merge = Find(left_id, right_id)) {
      heap.push_back({merge->rank, left, left_id, right_id, merge->merged});
      std::push_heap(heap.begin(), heap.end(), order);
    }
  };
  for (int32_t i = 0; i + 1 < count; ++i) consider(i);
  while (!heap.empty()) {
    std::pop_heap(heap.begin(), heap.end(), order);
    const Candidate best = heap.back();
    heap.pop_back();
    Symbol& left = symbols[best.left];
    if (left.id != best.left_id || left.next < 0 || symbols[left.next].id != best.right_id) continue;
    Symbol& right = symbols[left.next];
    left.id = best.merged;
    right.id = -1;
    left.next = right.next;
    if (left.next >= 0) symbols[left.next].previous = best.left;
    consider(left.previous);
    consider(best.left);
  }
  out->resize(begin);
  for (int32_t i = 0; i >= 0 && i < count; i = symbols[i].next) out->push_back(symbols[i].id);
  return steps;
}

}  // namespace baton
