#include "engine/model/paged_attention.h"

#include <algorithm>
#include <cmath>
#include <cstring>

namespace baton {
namespace {

constexpr int kTileTokens = 16;
constexpr int kTileRows = 128;

}  // namespace

PagedAttention::PagedAttention(const kernels::KernelTable& kernels, kernels::ThreadPool& pool,
                               const KvLayout& layout, int heads)
    : kernels_(kernels),
      pool_(pool),
      layout_(layout),
      group_(heads / layout.kv_heads),
      tile_tokens_(std::clamp(kTileRows / group_, 1, kTileTokens)),
      max_rows_(tile_tokens_ * group_),
      scale_(1.0f / std::sqrt(static_cast<float>(layout.head_dim))),
      workers_(pool.threads()) {
  for (Worker& worker : workers_) {
    worker.q.resize(static_cast<size_t>(max_rows_) * layout_.head_dim);
    worker.total.resize(StateFloats());
    worker.next.resize(StateFloats());
    worker.scratch.resize(kernels::SegmentScratchFloats(max_rows_, layout_.head_dim));
    worker.valid.resize(max_rows_);
  }
}

void PagedAttention::Plan(absl::Span<const AttentionItem> items) {
  tiles_.clear();
  segments_ = 0;
  for (const AttentionItem& item : items) {
    for (int64_t first = 0; first < item.count; first += tile_tokens_) {
      const int count = static_cast<int>(std::min<int64_t>(tile_tokens_, item.count - first));
      const int64_t seen = item.start + first + count;
      const int segments = static_cast<int>((seen + kernels::kSegmentTokens - 1) / kernels::kSegmentTokens);
      tiles_.push_back({&item, first, count, segments});
      segments_ += segments;
    }
  }
  // The longest first, so that no thread is left with a long one at the end.
  std::stable_sort(tiles_.begin(), tiles_.end(),
                   [](const Tile& a, const Tile& b) { return a.segments > b.segments; });
}

void PagedAttention::Run(int layer, const std::byte* kv, const float* q, float* out) {
  const Call call{layer, kv, q, out};
  const int64_t units = static_cast<int64_t>(tiles_.size()) * layout_.kv_heads;
  if (pool_.threads() > 1 && units < 4 * pool_.threads() && segments_ >= 4) return RunApart(call);
  // A few tokens are done sooner than a sleeping thread wakes.
  const int64_t grain = segments_ * layout_.kv_heads <= 4 ? units : 1;
  pool_.ParallelFor(units, grain, [&](int64_t begin, int64_t end, int slot) {
    for (int64_t unit = begin; unit < end; ++unit) {
      WalkTile(call, tiles_[unit / layout_.kv_heads], static_cast<int>(unit % layout_.kv_heads),
               workers_[slot]);
    }
  });
}

kernels::AttentionState PagedAttention::StateAt(float* memory) const {
  return {memory, memory + max_rows_, memory + 2 * max_rows_};
}

void PagedAttention::GatherQueries(const Call& call, const Tile& tile, int head, Worker& worker) const {
  const int64_t width = static_cast<int64_t>(group_) * layout_.head_dim;
  for (int t = 0; t < tile.count; ++t) {
    const int64_t row = tile.item->first_row + tile.first + t;
    std::memcpy(worker.q.data() + t * width, call.q + (row * layout_.kv_heads + head) * width,
                width * sizeof(float));
  }
}

void PagedAttention::Segment(const Call& call, const Tile& tile, int head, int segment, float* state,
                             Worker& worker) const {
  const int64_t base = static_cast<int64_t>(segment) * kernels::kSegmentTokens;
  const int64_t first_position = tile.item->start + tile.first;
  kernels::SegmentArgs args{.q = worker.q.data(),
                            .rows = Rows(tile),
                            .head_dim = layout_.head_dim,
                            .scale = scale_,
                            .dtype = layout_.dtype,
                            .valid = worker.valid.data(),
                            .state = StateAt(state),
                            .scratch = worker.scratch.data()};
  for (int row = 0; row < args.rows; ++row) {
    const int64_t seen = first_position + row / group_ + 1 - base;
    worker.valid[row] = static_cast<int>(std::clamp<int64_t>(seen, 0, kernels::kSegmentTokens));
  }
  const int64_t end = first_position + tile.count;
  for (int i = 0; i < kernels::kSegmentAtoms && base + i * kAtomTokens < end; ++i) {
    const int64_t atom = base / kAtomTokens + i;
    const std::byte* page =
        call.kv + static_cast<size_t>(tile.item->pages[atom / layout_.atoms_per_page]) * layout_.PageBytes();
    const int in_page = static_cast<int>(atom % layout_.atoms_per_page);
    args.k_atoms[i] = page + layout_.UnitOffset(in_page, call.layer, KvSide::kKey, head);
    args.v_atoms[i] = page + layout_.UnitOffset(in_page, call.layer, KvSide::kValue, head);
  }
  kernels_.attend_segment(args);
}

void PagedAttention::Finish(const Call& call, const Tile& tile, int head, float* state) const {
  const int64_t width = static_cast<int64_t>(group_) * layout_.head_dim;
  kernels::AttentionState rows = StateAt(state);
  for (int t = 0; t < tile.count; ++t) {
    const int64_t row = tile.item->first_row + tile.first + t;
    kernels_.finish_attention(rows, group_, layout_.head_dim,
                              call.out + (row * layout_.kv_heads + head) * width, layout_.head_dim);
    rows = {rows.max + group_, rows.sum + group_, rows.out + width};
  }
}

void PagedAttention::WalkTile(const Call& call, const Tile& tile, int head, Worker& worker) const {
  GatherQueries(call, tile, head, worker);
  Segment(call, tile, head, 0, worker.total.data(), worker);
  for (int segment = 1; segment < tile.segments; ++segment) {
    Segment(call, tile, head, segment, worker.next.data(), worker);
    kernels_.merge_attention(StateAt(worker.total.data()), StateAt(worker.next.data()), Rows(tile),
                             layout_.head_dim);
  }
  Finish(call, tile, head, worker.total.data());
}

void PagedAttention::RunApart(const Call& call) {
  struct Unit {
    const Tile* tile;
    int head, segment;
  };
  std::vector<Unit> units;
  for (const Tile& tile : tiles_) {
    for (int head = 0; head < layout_.kv_heads; ++head) {
      for (int segment = 0; segment < tile.segments; ++segment) units.push_back({&tile, head, segment});
    }
  }
  const size_t stride = StateFloats();
  if (shares_.size() < units.size() * stride) shares_.resize(units.size() * stride);
  pool_.ParallelFor(static_cast<int64_t>(units.size()), 1, [&](int64_t begin, int64_t end, int slot) {
    for (int64_t i = begin; i < end; ++i) {
      GatherQueries(call, *units[i].tile, units[i].head, workers_[slot]);
      Segment(call, *units[i].tile, units[i].head, units[i].segment, shares_.data() + i * stride,
              workers_[slot]);
    }
  });
  for (size_t i = 0; i < units.size();) {
    const Tile& tile = *units[i].tile;
    float* total = shares_.data() + i * stride;
    for (int segment = 1; segment < tile.segments; ++segment) {
      kernels_.merge_attention(StateAt(total), StateAt(total + segment * stride), Rows(tile),
                               layout_.head_dim);
    }
    Finish(call, tile, units[i].head, total);
    i += tile.segments;
  }
}

}  // namespace baton
