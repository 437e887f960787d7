#pragma once

// Many small sets of small numbers (which ranks hold a block), compactly: a set of one is in its name, a few
// are a list of 2 bytes each, many are a bitmap. Not thread-safe; const calls may run together.

#include <algorithm>
#include <cstddef>
#include <cstdint>
#include <memory>
#include <utility>
#include <vector>

#include "absl/types/span.h"

namespace baton::router {

// Items of `width` values each, numbered; those given back are used again.
template <typename T>
class ItemArena {
 public:
  explicit ItemArena(size_t width) : width_(width) {}
  uint32_t Take() {
    if (free_.empty()) {
      const uint32_t first = static_cast<uint32_t>(chunks_.size()) * kChunk;
      chunks_.push_back(std::make_unique<T[]>(kChunk * width_));
      for (uint32_t i = kChunk; i > 0; --i) free_.push_back(first + i - 1);
    }
    const uint32_t item = free_.back();
    free_.pop_back();
    return item;
  }
  void Give(uint32_t item) { free_.push_back(item); }
  // Items have this many values from now on, those they had first, then zeros.
  void Widen(size_t width) {
    for (std::unique_ptr<T[]>& chunk : chunks_) {
      auto wider = std::make_unique<T[]>(kChunk * width);
      for (size_t i = 0; i < kChunk; ++i)
        std::copy_n(chunk.get() + i * width_, width_, wider.get() + i * width);
      chunk = std::move(wider);
    }
    width_ = width;
  }
  T* At(uint32_t item) const { return chunks_[item / kChunk].get() + (item % kChunk) * width_; }
  size_t width() const { return width_; }
  size_t bytes() const { return chunks_.size() * kChunk * width_ * sizeof(T) + free_.capacity() * 4; }

 private:
  static constexpr uint32_t kChunk = 256;
  size_t width_;
  std::vector<std::unique_ptr<T[]>> chunks_;
  std::vector<uint32_t> free_;
};

class HolderSets {
 public:
  // A set by name; the name changes with its content. 0 is the empty set.
  using Set = uint32_t;
  static constexpr uint32_t kMostHolders = 65000;  // numbers are below this

  HolderSets();
  // Numbers below `holders` are used from now on; rebuilds the bitmaps if they become too narrow. Then every
  // name stays as it is.
  void Fit(uint32_t holders);
  size_t words() const { return words_; }  // of a bitmap of all numbers

  bool Contains(Set set, uint32_t holder) const;
  // The set with the number added, which was not in it; without it, which was. `set` is no name any more.
  Set Add(Set set, uint32_t holder);
  Set Remove(Set set, uint32_t holder);
  // alive &= set. Both are of words().
  void Intersect(Set set, absl::Span<uint64_t> alive) const;
  // Whether both are known to have the same numbers: neighbours of one prompt mostly are, and this is fast.
  bool Alike(Set a, Set b) const;
  // Appends the numbers, in no order.
  void List(Set set, std::vector<uint32_t>* holders) const;
  size_t bytes() const;

 private:
  static constexpr int kLists = 6;  // of 2, 4, 8, 16, 32, 64 numbers
  enum : uint32_t { kBitmap = kLists + 1 };
  static uint32_t Kind(Set set) { return set >> 29; }
  static uint32_t Item(Set set) { return set & ((1u << 29) - 1); }
  static Set Name(uint32_t kind, uint32_t item) { return kind << 29 | item; }
  Set Make(absl::Span<const uint32_t> holders);
  void Drop(Set set);

  size_t words_ = 4;
  std::vector<ItemArena<uint16_t>> lists_;
  ItemArena<uint64_t> bitmaps_;  // a count, then the words
};

}  // namespace baton::router
