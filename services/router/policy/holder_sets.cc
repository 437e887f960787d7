#include "services/router/policy/holder_sets.h"

#include <algorithm>
#include <bit>
#include <cstring>

namespace baton::router {
namespace {

constexpr uint16_t kNone = 0xFFFF;  // behind a list's numbers

size_t Length(const uint16_t* list, size_t width) {
  size_t length = 0;
  while (length < width && list[length] != kNone) ++length;
  return length;
}

}  // namespace

HolderSets::HolderSets() : bitmaps_(words_ + 1) {
  for (int kind = 1; kind <= kLists; ++kind) lists_.emplace_back(size_t{1} << kind);
}

void HolderSets::Fit(uint32_t holders) {
  if (holders <= words_ * 64) return;
  const size_t wider = std::bit_ceil((holders + 63) / 64);
  bitmaps_.Widen(wider + 1);
  words_ = wider;
}

bool HolderSets::Contains(Set set, uint32_t holder) const {
  const uint32_t kind = Kind(set);
  if (kind == 0) return set == holder + 1;
  if (kind == kBitmap) return bitmaps_.At(Item(set))[1 + holder / 64] >> (holder % 64) & 1;
  const ItemArena<uint16_t>& lists = lists_[kind - 1];
  const uint16_t* list = lists.At(Item(set));
  const uint16_t* end = list + lists.width();
  return std::find(list, end, static_cast<uint16_t>(holder)) != end;
}

HolderSets::Set HolderSets::Add(Set set, uint32_t holder) {
  const uint32_t kind = Kind(set);
  if (set == 0) return holder + 1;
  if (kind == kBitmap) {
    uint64_t* bitmap = bitmaps_.At(Item(set));
    bitmap[1 + holder / 64] |= uint64_t{1} << (holder % 64);
    ++bitmap[0];
    return set;
  }
  if (kind != 0) {
    const ItemArena<uint16_t>& lists = lists_[kind - 1];
    uint16_t* list = lists.At(Item(set));
    if (const size_t length = Length(list, lists.width()); length < lists.width()) {
      list[length] = static_cast<uint16_t>(holder);
      return set;
    }
  }
  std::vector<uint32_t> holders;
  List(set, &holders);
  holders.push_back(holder);
  Drop(set);
  return Make(holders);
}

HolderSets::Set HolderSets::Remove(Set set, uint32_t holder) {
  const uint32_t kind = Kind(set);
  if (kind == 0) return 0;
  size_t left = 0, narrow = 0;
  if (kind == kBitmap) {
    uint64_t* bitmap = bitmaps_.At(Item(set));
    bitmap[1 + holder / 64] &= ~(uint64_t{1} << (holder % 64));
    left = --bitmap[0];
    narrow = (size_t{1} << kLists) / 2;
  } else {
    const ItemArena<uint16_t>& lists = lists_[kind - 1];
    uint16_t* list = lists.At(Item(set));
    left = Length(list, lists.width()) - 1;
    *std::find(list, list + left, static_cast<uint16_t>(holder)) = list[left];
    list[left] = kNone;
    narrow = kind == 1 ? 1 : lists.width() / 4;
  }
  if (left > narrow) return set;
  std::vector<uint32_t> holders;
  List(set, &holders);
  Drop(set);
  return Make(holders);
}

void HolderSets::Intersect(Set set, absl::Span<uint64_t> alive) const {
  const uint32_t kind = Kind(set);
  if (kind == kBitmap) {
    const uint64_t* bitmap = bitmaps_.At(Item(set)) + 1;
    for (size_t i = 0; i < alive.size(); ++i) alive[i] &= bitmap[i];
    return;
  }
  uint64_t kept[1 << kLists];
  size_t count = 0;
  const auto keep = [&](uint32_t holder) {
    if (alive[holder / 64] >> (holder % 64) & 1) kept[count++] = holder;
  };
  if (kind == 0) {
    if (set != 0) keep(set - 1);
  } else {
    const ItemArena<uint16_t>& lists = lists_[kind - 1];
    const uint16_t* list = lists.At(Item(set));
    for (size_t i = 0; i < lists.width() && list[i] != kNone; ++i) keep(list[i]);
  }
  std::fill(alive.begin(), alive.end(), 0);
  for (size_t i = 0; i < count; ++i) alive[kept[i] / 64] |= uint64_t{1} << (kept[i] % 64);
}

bool HolderSets::Alike(Set a, Set b) const {
  const uint32_t kind = Kind(a);
  if (kind == 0 || kind != Kind(b)) return a == b;
  if (kind == kBitmap)
    return std::memcmp(bitmaps_.At(Item(a)), bitmaps_.At(Item(b)), bitmaps_.width() * sizeof(uint64_t)) == 0;
  const ItemArena<uint16_t>& lists = lists_[kind - 1];
  return std::memcmp(lists.At(Item(a)), lists.At(Item(b)), lists.width() * sizeof(uint16_t)) == 0;
}

void HolderSets::List(Set set, std::vector<uint32_t>* holders) const {
  const uint32_t kind = Kind(set);
  if (kind == 0) {
    if (set != 0) holders->push_back(set - 1);
  } else if (kind == kBitmap) {
    const uint64_t* bitmap = bitmaps_.At(Item(set)) + 1;
    for (size_t word = 0; word < words_; ++word) {
      for (uint64_t bits = bitmap[word]; bits != 0; bits &= bits - 1)
        holders->push_back(static_cast<uint32_t>(word * 64) + static_cast<uint32_t>(std::countr_zero(bits)));
    }
  } else {
    const ItemArena<uint16_t>& lists = lists_[kind - 1];
    const uint16_t* list = lists.At(Item(set));
    holders->insert(holders->end(), list, list + Length(list, lists.width()));
  }
}

HolderSets::Set HolderSets::Make(absl::Span<const uint32_t> holders) {
  if (holders.empty()) return 0;
  if (holders.size() == 1) return holders[0] + 1;
  uint32_t kind = 1;
  while (kind <= kLists && (size_t{1} << kind) < holders.size()) ++kind;
  if (kind > kLists) {
    const uint32_t item = bitmaps_.Take();
    uint64_t* bitmap = bitmaps_.At(item);
    std::fill(bitmap, bitmap + bitmaps_.width(), 0);
    bitmap[0] = holders.size();
    for (const uint32_t holder : holders) bitmap[1 + holder / 64] |= uint64_t{1} << (holder % 64);
    return Name(kBitmap, item);
  }
  ItemArena<uint16_t>& lists = lists_[kind - 1];
  const uint32_t item = lists.Take();
  uint16_t* list = lists.At(item);
  std::fill(std::copy(holders.begin(), holders.end(), list), list + lists.width(), kNone);
  return Name(kind, item);
}

void HolderSets::Drop(Set set) {
  const uint32_t kind = Kind(set);
  if (kind == kBitmap) {
    bitmaps_.Give(Item(set));
  } else if (kind != 0) {
    lists_[kind - 1].Give(Item(set));
  }
}

size_t HolderSets::bytes() const {
  size_t bytes = bitmaps_.bytes();
  for (const ItemArena<uint16_t>& lists : lists_) bytes += lists.bytes();
  return bytes;
}

}  // namespace baton::router
