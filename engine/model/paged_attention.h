#pragma once

// Causal grouped-query attention of a step's queries over paged keys and values, on a thread pool.
//
// Every query folds the segments it sees (64 tokens at absolute positions) in ascending order, whether one
// thread walks all of them or several compute them apart; so the result does not depend on the step's shape
// (docs/exactness.md).

#include <cstddef>
#include <cstdint>
#include <vector>

#include "absl/types/span.h"
#include "common/ids.h"
#include "common/kv_layout.h"
#include "engine/kernels/kernels.h"
#include "engine/kernels/thread_pool.h"

namespace baton {

// Rows [first_row, first_row + count) of the step are the queries at positions [start, start + count) of one
// sequence.
struct AttentionItem {
  int64_t first_row = 0;
  int64_t count = 0;
  int64_t start = 0;
  absl::Span<const PageId> pages;
};

// Not thread-safe.
class PagedAttention {
 public:
  PagedAttention(const kernels::KernelTable& kernels, kernels::ThreadPool& pool, const KvLayout& layout,
                 int heads);

  // Sets the step's items, which must stay alive until its last Run.
  void Plan(absl::Span<const AttentionItem> items);
  // q and out: [rows][heads * head_dim]. `kv` is the first page.
  void Run(int layer, const std::byte* kv, const float* q, float* out);

 private:
  struct Tile {  // up to tile_tokens_ queries of an item
    const AttentionItem* item;
    int64_t first;
    int count;
    int segments;  // that its last query sees
  };
  struct Worker {
    std::vector<float> q, total, next, scratch;
    std::vector<int> valid;
  };
  struct Call {
    int layer;
    const std::byte* kv;
    const float* q;
    float* out;
  };

  int Rows(const Tile& tile) const { return tile.count * group_; }
  size_t StateFloats() const { return static_cast<size_t>(max_rows_) * (2 + layout_.head_dim); }
  kernels::AttentionState StateAt(float* memory) const;
  void GatherQueries(const Call& call, const Tile& tile, int head, Worker& worker) const;
  void Segment(const Call& call, const Tile& tile, int head, int segment, float* state, Worker& worker) const;
  void Finish(const Call& call, const Tile& tile, int head, float* state) const;
  void WalkTile(const Call& call, const Tile& tile, int head, Worker& worker) const;
  void RunApart(const Call& call);

  const kernels::KernelTable& kernels_;
  kernels::ThreadPool& pool_;
  const KvLayout layout_;
  const int group_;  // query heads of a key/value head
  const int tile_tokens_;
  const int max_rows_;
  const float scale_;
  std::vector<Worker> workers_;
  std::vector<Tile> tiles_;
  int64_t segments_ = 0;       // of all tiles
  std::vector<float> shares_;  // RunApart: a state for each (tile, head, segment)
};

}  // namespace baton
