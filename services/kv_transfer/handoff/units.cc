#include "services/kv_transfer/handoff/units.h"

#include <algorithm>
#include <limits>

#include "absl/strings/str_format.h"

namespace baton {
namespace {

int ValidRows(const UnitRect& rect, int64_t atom) {
  return static_cast<int>(std::min<int64_t>(kAtomTokens, rect.end - atom * kAtomTokens));
}

// Offset in the region of unit 0 of `layer` in `atom`.
uint64_t LayerOffset(const KvLayout& layout, const PageMap& map, int64_t atom, int32_t layer) {
  const int64_t atoms_from_first = atom - map.first_token / kAtomTokens;
  const PageId page = map.pages[atoms_from_first / layout.atoms_per_page];
  const int atom_in_page = static_cast<int>(atoms_from_first % layout.atoms_per_page);
  return static_cast<uint64_t>(page) * layout.PageBytes() +
         layout.UnitOffset(atom_in_page, layer, KvSide::kKey, 0);
}

// Calls emit(atom, layer, byte offset within the layer, length) for each piece without a gap, in order.
template <typename Emit>
void ForEachRun(const KvLayout& layout, const UnitRect& rect, Emit emit) {
  for (int64_t atom = rect.first_atom(); atom < rect.end_atom(); ++atom) {
    const int rows = ValidRows(rect, atom);
    if (rows == kAtomTokens) {
      emit(atom, rect.first_layer, uint64_t{0}, layout.LayerBytes() * rect.layers());
      continue;
    }
    for (int32_t layer = rect.first_layer; layer < rect.end_layer; ++layer) {
      for (int unit = 0; unit < layout.UnitsPerLayer(); ++unit) {
        emit(atom, layer, uint64_t{layout.UnitBytes() * unit}, layout.RowBytes() * rows);
      }
    }
  }
}

}  // namespace

absl::Status CheckRect(const KvLayout& layout, const UnitRect& rect, int64_t tokens) {
  const bool aligned = rect.begin % kAtomTokens == 0 && (rect.end % kAtomTokens == 0 || rect.end == tokens);
  const bool inside =
      rect.begin >= 0 && rect.end <= tokens && rect.first_layer >= 0 && rect.end_layer <= layout.layers;
  if (!rect.empty() && aligned && inside) return absl::OkStatus();
  return absl::InvalidArgumentError(
      absl::StrFormat("tokens [%d, %d) of layers [%d, %d) are %s in a sequence of %d tokens and %d layers",
                      rect.begin, rect.end, rect.first_layer, rect.end_layer,
                      rect.empty() ? "nothing"
                      : inside     ? "not whole atoms"
                                   : "out of range",
                      tokens, layout.layers));
}

UnitRect Clip(const UnitRect& rect, int64_t begin, int64_t end) {
  UnitRect clipped = rect;
  clipped.begin = std::max(rect.begin, begin);
  clipped.end = std::min(rect.end, end);
  return clipped;
}

size_t RectBytes(const KvLayout& layout, const UnitRect& rect) {
  const size_t row_bytes = layout.RowBytes() * layout.UnitsPerLayer() * rect.layers();
  return row_bytes * static_cast<size_t>(rect.end - rect.begin);
}

size_t RectUnits(const KvLayout& layout, const UnitRect& rect) {
  return static_cast<size_t>(rect.atoms()) * rect.layers() * layout.UnitsPerLayer();
}

std::vector<UnitRect> SplitRect(const KvLayout& layout, const UnitRect& rect, size_t max_bytes) {
  std::vector<UnitRect> out;
  const size_t atom_bytes = layout.LayerBytes() * rect.layers();
  const int64_t atoms = std::max<int64_t>(1, static_cast<int64_t>(max_bytes / atom_bytes));
  const int32_t layers = atom_bytes <= max_bytes
                             ? rect.layers()
                             : static_cast<int32_t>(std::max<size_t>(1, max_bytes / layout.LayerBytes()));
  for (int64_t begin = rect.begin; begin < rect.end; begin += atoms * kAtomTokens) {
    for (int32_t layer = rect.first_layer; layer < rect.end_layer; layer += layers) {
      out.push_back({begin, std::min(rect.end, begin + atoms * kAtomTokens), layer,
                     std::min(rect.end_layer, layer + layers)});
    }
  }
  return out;
}

std::vector<ByteRange> RectRanges(const KvLayout& layout, const UnitRect& rect, const PageMap& map) {
  std::vector<ByteRange> out;
  ForEachRun(layout, rect, [&](int64_t atom, int32_t layer, uint64_t skip, uint64_t length) {
    const uint64_t offset = LayerOffset(layout, map, atom, layer) + skip;
    if (!out.empty() && out.back().offset + out.back().length == offset) {
      out.back().length += length;
    } else {
      out.push_back({map.region, offset, length});
    }
  });
  return out;
}

std::vector<CopyOp> RectCopies(const KvLayout& layout, const UnitRect& rect, const PageMap& remote,
                               const PageMap& local) {
  std::vector<CopyOp> out;
  ForEachRun(layout, rect, [&](int64_t atom, int32_t layer, uint64_t skip, uint64_t length) {
    const uint64_t from = LayerOffset(layout, remote, atom, layer) + skip;
    const uint64_t to = LayerOffset(layout, local, atom, layer) + skip;
    if (!out.empty() && out.back().remote_offset + out.back().length == from &&
        out.back().local_offset + out.back().length == to) {
      out.back().length += length;
    } else {
      out.push_back({remote.region, from, local.region, to, length});
    }
  });
  return out;
}

std::vector<RangeCheck> RectRangeChecks(const KvLayout& layout, const UnitRect& rect,
                                        absl::Span<const uint64_t> checksums) {
  std::vector<RangeCheck> out;
  out.reserve(checksums.size());
  const size_t units = checksums.size() / static_cast<size_t>(rect.atoms());
  for (int64_t atom = rect.first_atom(); atom < rect.end_atom(); ++atom) {
    const uint64_t length = layout.RowBytes() * ValidRows(rect, atom);
    for (size_t unit = 0; unit < units; ++unit) out.push_back({length, checksums[out.size()]});
  }
  return out;
}

std::vector<UnitCheck> RectChecks(const KvLayout& layout, const UnitRect& rect, const PageMap& map,
                                  absl::Span<const uint64_t> checksums) {
  std::vector<UnitCheck> out;
  out.reserve(checksums.size());
  for (int64_t atom = rect.first_atom(); atom < rect.end_atom(); ++atom) {
    const uint64_t length = layout.RowBytes() * ValidRows(rect, atom);
    for (int32_t layer = rect.first_layer; layer < rect.end_layer; ++layer) {
      const uint64_t offset = LayerOffset(layout, map, atom, layer);
      for (int unit = 0; unit < layout.UnitsPerLayer(); ++unit) {
        out.push_back({{map.region, offset + layout.UnitBytes() * unit, length}, checksums[out.size()]});
      }
    }
  }
  return out;
}

int64_t UnitGrid::Count(const UnitRect& rect) const {
  int64_t count = 0;
  for (int64_t atom = rect.first_atom(); atom < rect.end_atom(); ++atom) {
    for (int32_t layer = rect.first_layer; layer < rect.end_layer; ++layer) {
      count += cells_[static_cast<size_t>(atom) * layers_ + layer];
    }
  }
  return count;
}

void UnitGrid::Set(const UnitRect& rect) {
  for (int64_t atom = rect.first_atom(); atom < rect.end_atom(); ++atom) {
    for (int32_t layer = rect.first_layer; layer < rect.end_layer; ++layer) {
      cells_[static_cast<size_t>(atom) * layers_ + layer] = true;
    }
  }
}

}  // namespace baton
