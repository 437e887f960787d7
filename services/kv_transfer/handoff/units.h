#pragma once

// Arithmetic of units: which bytes of a pool a rectangle (tokens x layers of a
// view) of a sequence is, in the one order that offers, pulls and checksums
// share: atom, layer, unit. In the last atom of a sequence only the valid rows
// count (docs/kv_layout.md).

#include <cstdint>
#include <vector>

#include "absl/status/status.h"
#include "absl/types/span.h"
#include "common/ids.h"
#include "common/kv_layout.h"
#include "services/kv_transfer/handoff/kv_view.h"
#include "services/kv_transfer/transport/transport.h"

namespace baton {

// Tokens [begin, end) of layers [first_layer, end_layer). `begin` is a multiple
// of kAtomTokens; `end` as well, but for the end of the sequence.
struct UnitRect {
  int64_t begin = 0, end = 0;
  int32_t first_layer = 0, end_layer = 0;
  bool operator==(const UnitRect&) const = default;

  int64_t first_atom() const { return begin / kAtomTokens; }
  int64_t end_atom() const { return (end + kAtomTokens - 1) / kAtomTokens; }
  int64_t atoms() const { return end_atom() - first_atom(); }
  int32_t layers() const { return end_layer - first_layer; }
  bool empty() const { return begin >= end || first_layer >= end_layer; }
};

// Whether `rect` is not empty, aligned, and within a sequence of `tokens`
// tokens; why not.
absl::Status CheckRect(const KvView& view, const UnitRect& rect, int64_t tokens);
// The part of `rect` with tokens in [begin, end).
UnitRect Clip(const UnitRect& rect, int64_t begin, int64_t end);
size_t RectBytes(const KvView& view, const UnitRect& rect);
size_t RectUnits(const KvView& view, const UnitRect& rect);
// Rectangles that make up `rect` in its order, each of at most `max_bytes` if
// one layer of one atom is.
std::vector<UnitRect> SplitRect(const KvView& view, const UnitRect& rect, size_t max_bytes);

// Pages of a sequence in `region` (a rank's pool: page p begins at byte p *
// PageBytes); pages[0] holds token `first_token`, a multiple of PageTokens.
struct PageMap {
  RegionId region = 0;
  int64_t first_token = 0;
  absl::Span<const PageId> pages;
};
// The bytes of `rect`, neighbours merged.
std::vector<ByteRange> RectRanges(const KvView& view, const UnitRect& rect, const PageMap& map);
// The two pools may differ in page size and in what they keep.
std::vector<CopyOp> RectCopies(const UnitRect& rect, const KvView& remote_view, const PageMap& remote,
                               const KvView& local_view, const PageMap& local);

// The bytes of `rect` as RectRanges lists them, unit by unit, with their
// checksums (as many as RectUnits).
std::vector<RangeCheck> RectRangeChecks(const KvView& view, const UnitRect& rect,
                                        absl::Span<const uint64_t> checksums);

// The units of `rect`, one by one; of the last atom only the valid rows.
std::vector<ByteRange> RectUnitRanges(const KvView& view, const UnitRect& rect, const PageMap& map);

struct UnitCheck {
  ByteRange range;
  uint64_t checksum = 0;
};
// The units of `rect` with their expected checksums (as many as RectUnits).
std::vector<UnitCheck> RectChecks(const KvView& view, const UnitRect& rect, const PageMap& map,
                                  absl::Span<const uint64_t> checksums);

// A set of (atom, layer) cells.
class UnitGrid {
 public:
  UnitGrid() = default;
  UnitGrid(int64_t atoms, int32_t layers) : layers_(layers), cells_(static_cast<size_t>(atoms) * layers) {}
  bool All(const UnitRect& rect) const { return Count(rect) == rect.atoms() * rect.layers(); }
  bool Any(const UnitRect& rect) const { return Count(rect) != 0; }
  int64_t Count(const UnitRect& rect) const;
  void Set(const UnitRect& rect);

 private:
  int32_t layers_ = 0;
  std::vector<bool> cells_;
};

}  // namespace baton
