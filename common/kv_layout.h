#pragma once

// Where a key or value lives in a page. The one description that engines, transports and the pool share
// (docs/kv_layout.md).
//
// A page holds `atoms_per_page` atoms one after the other; an atom holds 16 tokens as [layer][K|V][kv
// head][16 tokens][dim]. The unit of truth is (layer, K or V, head, atom): UnitBytes() contiguous bytes,
// checksummed as a whole; in the last atom of a sequence only its first `n` token rows (n * RowBytes() bytes)
// are valid, moved and checksummed.

#include <compare>
#include <cstddef>
#include <cstdint>

namespace baton {

inline constexpr int kAtomTokens = 16;

enum class KvDtype : uint8_t { kF32 = 0, kF16 = 1, kBF16 = 2 };
enum class KvSide : uint8_t { kKey = 0, kValue = 1 };

constexpr size_t KvDtypeBytes(KvDtype dtype) {
  return dtype == KvDtype::kF32 ? 4 : 2;
}

struct KvLayout {
  int32_t layers = 0;
  int32_t kv_heads = 0;
  int32_t head_dim = 0;
  KvDtype dtype = KvDtype::kF16;
  int32_t atoms_per_page = 1;

  auto operator<=>(const KvLayout&) const = default;

  int PageTokens() const { return atoms_per_page * kAtomTokens; }
  // Pages that hold `tokens` tokens.
  int64_t PagesFor(int64_t tokens) const { return (tokens + PageTokens() - 1) / PageTokens(); }

  size_t RowBytes() const { return static_cast<size_t>(head_dim) * KvDtypeBytes(dtype); }
  size_t UnitBytes() const { return RowBytes() * kAtomTokens; }
  size_t LayerBytes() const {
    return UnitBytes() * 2 * kv_heads;
  }  // one layer of one atom: K of all heads, then V
  size_t AtomBytes() const { return LayerBytes() * layers; }
  size_t PageBytes() const { return AtomBytes() * atoms_per_page; }
  int UnitsPerLayer() const { return 2 * kv_heads; }

  // Byte offset within a page.
  size_t UnitOffset(int atom, int layer, KvSide side, int head) const {
    const size_t unit = (static_cast<size_t>(layer) * 2 + static_cast<size_t>(side)) * kv_heads + head;
    return AtomBytes() * atom + UnitBytes() * unit;
  }
};

}  // namespace baton
