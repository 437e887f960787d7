#include "services/kv_transfer/handoff/units.h"

#include <algorithm>
#include <limits>

#include "absl/strings/str_format.h"

namespace baton {
namespace {

int ValidRows(const UnitRect& rect, int64_t atom) {
  return static_cast<int>(std::min<int64_t>(kAtomTokens, rect.end - atom * kAtomTokens));
}

// Offset in the region of `unit` of `layer` in `atom`.
uint64_t OffsetOf(const KvView& view, const PageMap& map, int64_t atom, int32_t layer, int unit) {
  const KvLayout& layout = view.layout;
  const int64_t atoms_from_first = atom - map.first_token / kAtomTokens;
  const PageId page = map.pages[atoms_from_first / layout.atoms_per_page];
  const int atom_in_page = static_cast<int>(atoms_from_first % layout.atoms_per_page);
  return static_cast<uint64_t>(page) * layout.PageBytes() + view.UnitOffset(atom_in_page, layer, unit);
}

// Calls emit(atom, layer, unit, length) for each piece without a gap, in order.
// `whole_layers`: no pool keeps heads that are not of the view.
template <typename Emit>
void ForEachRun(const KvView& view, const UnitRect& rect, bool whole_layers, Emit emit) {
  for (int64_t atom = rect.first_atom(); atom < rect.end_atom(); ++atom) {
    const int rows = ValidRows(rect, atom);
    if (rows == kAtomTokens && whole_layers) {
      emit(atom, rect.first_layer, 0, view.LayerBytes() * rect.layers());
      continue;
    }
    const int units = rows == kAtomTokens ? view.heads : 1;
    for (int32_t layer = rect.first_layer; layer < rect.end_layer; ++layer) {
      for (int unit = 0; unit < view.UnitsPerLayer(); unit += units) {
        emit(atom, layer, unit, view.layout.RowBytes() * rows * units);
      }
    }
  }
}

}  // namespace

absl::Status CheckRect(const KvView& view, const UnitRect& rect, int64_t tokens) {
  const bool aligned = rect.begin % kAtomTokens == 0 && (rect.end % kAtomTokens == 0 || rect.end == tokens);
  const bool inside =
      rect.begin >= 0 && rect.end <= tokens && rect.first_layer >= 0 && rect.end_layer <= view.layers;
  if (!rect.empty() && aligned && inside) return absl::OkStatus();
  return absl::InvalidArgumentError(
      absl::StrFormat("tokens [%d, %d) of layers [%d, %d) are %s in a sequence "
                      "of %d tokens and %d layers",
                      rect.begin, rect.end, rect.first_layer, rect.end_layer,
                      rect.empty() ? "nothing"
                      : inside     ? "not whole atoms"
                                   : "out of range",
                      tokens, view.layers));
}

UnitRect Clip(const UnitRect& rect, int64_t begin, int64_t end) {
  UnitRect clipped = rect;
  clipped.begin = std::max(rect.begin, begin);
  clipped.end = std::min(rect.end, end);
  return clipped;
}

size_t RectBytes(const KvView& view, const UnitRect& rect) {
  const size_t row_bytes = view.layout.RowBytes() * view.UnitsPerLayer() * rect.layers();
  return row_bytes * static_cast<size_t>(rect.end - rect.begin);
}

size_t RectUnits(const KvView& view, const UnitRect& rect) {
  return static_cast<size_t>(rect.atoms()) * rect.layers() * view.UnitsPerLayer();
}

std::vector<UnitRect> SplitRect(const KvView& view, const UnitRect& rect, size_t max_bytes) {
  std::vector<UnitRect> out;
  const size_t atom_bytes = view.LayerBytes() * rect.layers();
  const int64_t atoms = std::max<int64_t>(1, static_cast<int64_t>(max_bytes / atom_bytes));
  const int32_t layers = atom_bytes <= max_bytes
                             ? rect.layers()
                             : static_cast<int32_t>(std::max<size_t>(1, max_bytes / view.LayerBytes()));
  for (int64_t begin = rect.begin; begin < rect.end; begin += atoms * kAtomTokens) {
    for (int32_t layer = rect.first_layer; layer < rect.end_layer; layer += layers) {
      out.push_back({begin, std::min(rect.end, begin + atoms * kAtomTokens), layer,
                     std::min(rect.end_layer, layer + layers)});
    }
  }
  return out;
}

std::vector<ByteRange> RectRanges(const KvView& view, const UnitRect& rect, const PageMap& map) {
  std::vector<ByteRange> out;
  ForEachRun(view, rect, view.AllHeads(), [&](int64_t atom, int32_t layer, int unit, uint64_t length) {
    const uint64_t offset = OffsetOf(view, map, atom, layer, unit);
    if (!out.empty() && out.back().offset + out.back().length == offset) {
      out.back().length += length;
    } else {
      out.push_back({map.region, offset, length});
    }
  });
  return out;
}

std::vector<CopyOp> RectCopies(const UnitRect& rect, const KvView& remote_view, const PageMap& remote,
                               const KvView& local_view, const PageMap& local) {
  std::vector<CopyOp> out;
  const bool whole_layers = remote_view.AllHeads() && local_view.AllHeads();
  ForEachRun(remote_view, rect, whole_layers, [&](int64_t atom, int32_t layer, int unit, uint64_t length) {
    const uint64_t from = OffsetOf(remote_view, remote, atom, layer, unit);
    const uint64_t to = OffsetOf(local_view, local, atom, layer, unit);
    if (!out.empty() && out.back().remote_offset + out.back().length == from &&
        out.back().local_offset + out.back().length == to) {
      out.back().length += length;
    } else {
      out.push_back({remote.region, from, local.region, to, length});
    }
  });
  return out;
}

std::vector<RangeCheck> RectRangeChecks(const KvView& view, const UnitRect& rect,
                                        absl::Span<const uint64_t> checksums) {
  std::vector<RangeCheck> out;
  out.reserve(checksums.size());
  const size_t units = checksums.size() / static_cast<size_t>(rect.atoms());
  for (int64_t atom = rect.first_atom(); atom < rect.end_atom(); ++atom) {
    const uint64_t length = view.layout.RowBytes() * ValidRows(rect, atom);
    for (size_t unit = 0; unit < units; ++unit) out.push_back({length, checksums[out.size()]});
  }
  return out;
}

std::vector<ByteRange> RectUnitRanges(const KvView& view, const UnitRect& rect, const PageMap& map) {
  std::vector<ByteRange> out;
  out.reserve(RectUnits(view, rect));
  for (int64_t atom = rect.first_atom(); atom < rect.end_atom(); ++atom) {
    const uint64_t length = view.layout.RowBytes() * ValidRows(rect, atom);
    for (int32_t layer = rect.first_layer; layer < rect.end_layer; ++layer) {
      for (int unit = 0; unit < view.UnitsPerLayer(); ++unit) {
        out.push_back({map.region, OffsetOf(view, map, atom, layer, unit), length});
      }
    }
  }
  return out;
}

std::vector<UnitCheck> RectChecks(const KvView& view, const UnitRect& rect, const PageMap& map,
                                  absl::Span<const uint64_t> checksums) {
  std::vector<UnitCheck> out;
  out.reserve(checksums.size());
  for (const ByteRange& range : RectUnitRanges(view, rect, map))
    out.push_back({range, checksums[out.size()]});
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
