#pragma once

// The window of a pool that a handoff moves: with sharded ranks (legs.h) only
// some layers and KV heads of what the pool keeps. Inside a handoff, layer 0
// and head 0 are the window's first, at both ends.

#include "common/kv_layout.h"
#include "services/kv_transfer/handoff/legs.h"

namespace baton {

struct KvView {
  KvView() = default;
  // All of the pool.
  KvView(const KvLayout& pool) : layout(pool), layers(pool.layers), heads(pool.kv_heads) {}  // NOLINT
  // `part` of a pool that keeps `shard`, which contains it.
  KvView(const KvLayout& pool, const KvShard& shard, const KvShard& part)
      : layout(pool),
        first_layer(part.first_layer - shard.first_layer),
        layers(part.end_layer - part.first_layer),
        first_head(part.first_head - shard.first_head),
        heads(part.end_head - part.first_head) {}

  int UnitsPerLayer() const { return 2 * heads; }
  size_t LayerBytes() const { return layout.UnitBytes() * UnitsPerLayer(); }
  bool AllHeads() const { return heads == layout.kv_heads; }
  // Byte offset within a page of a unit of the window's; units of a layer count
  // keys of all heads, then values.
  size_t UnitOffset(int atom, int layer, int unit) const {
    const KvSide side = unit < heads ? KvSide::kKey : KvSide::kValue;
    return layout.UnitOffset(atom, first_layer + layer, side, first_head + unit % heads);
  }

  KvLayout layout;  // of the pool
  int32_t first_layer = 0, layers = 0;
  int32_t first_head = 0, heads = 0;
};

// What a pool of this layout keeps if `shard` is empty: all that there is.
inline KvShard ShardOrAll(const KvShard& shard, const KvLayout& layout) {
  return shard.empty() ? KvShard{0, layout.layers, 0, layout.kv_heads} : shard;
}

}  // namespace baton
