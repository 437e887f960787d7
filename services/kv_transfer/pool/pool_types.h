#pragma once

// What goes into and comes out of PoolCore, as plain data that mirrors proto/baton/pool.proto.

#include <cstdint>
#include <string>
#include <variant>
#include <vector>

#include "absl/status/status.h"
#include "common/clock.h"
#include "common/ids.h"
#include "common/kv_layout.h"
#include "services/kv_transfer/handoff/types.h"
#include "services/kv_transfer/pool/disk/record.h"

namespace baton::pool {

// The leading blocks of a prompt that a worker has to compute or wants to move: block i's name, and the
// TokenDigest of all tokens up to its end, which the handoff's Seal will carry.
struct BlockRun {
  std::vector<BlockHash> blocks;
  std::vector<Id128> digests;
};

// A worker asks for blocks. The handoff offers the answer's `blocks` from the prompt's first token on,
// whatever the reader has already: it opens what it lacks.
struct FetchCall {
  HandoffId id;  // new
  Epoch reader_epoch;
  uint32_t reader_rank = 0;
  BlockRun run;
  uint32_t skip = 0;   // leading blocks that the reader probably has
  uint32_t least = 1;  // fewer, beyond these, would not be worth a move
  absl::Duration timeout = absl::Seconds(30);
};
struct FetchAnswer {
  uint32_t found = 0;      // leading blocks known here
  uint32_t blocks = 0;     // that the handoff offers; 0: there is none
  uint32_t from_disk = 0;  // among them
};

// A worker offers blocks. The pool pulls [first, first + blocks) of the handoff's sequence, which begins at
// the prompt's first token and ends with the last of them.
struct StoreCall {
  HandoffId id;
  KvPeer owner;
  BlockRun run;
  absl::Duration timeout = absl::Seconds(30);
};
struct StoreAnswer {
  uint32_t first = 0;
  uint32_t blocks = 0;  // 0: nothing is wanted
};

// --- actions

struct MoveKv {
  HandoffCommand command;
};
// The pages of a store have arrived: OnSummed answers.
struct SumPages {
  HandoffId id;
  std::vector<PageId> pages;
};
// OnWritten answers; the page is pinned until then.
struct WriteBlock {
  RecordName name;
  PageId page = 0;
  std::vector<uint64_t> sums;
};
// OnRead answers.
struct ReadBlock {
  BlockHash key;
  DiskPlace place;
  PageId page = 0;
};
struct SealSegment {
  uint64_t segment = 0;
};
struct DropSegment {
  uint64_t segment = 0;
};

// Carried out in order; those about the disk by one thread.
using PoolAction = std::variant<MoveKv, SumPages, WriteBlock, ReadBlock, SealSegment, DropSegment>;

// --- options and counters

struct PoolCoreOptions {
  KvLayout layout;
  int64_t pages = 0;
  int64_t segment_blocks = 0;                          // records of a segment file
  int64_t segments = 0;                                // 0: no disk tier
  size_t max_moves = 256;                              // fetches, and stores, at once
  size_t max_run = 16384;                              // blocks of a call
  size_t max_disk_writes = 256, max_disk_reads = 256;  // waiting or under way
  int64_t offer_blocks = 16;                           // of one Offer at most
  absl::Duration longest = absl::Minutes(5);           // a move
};

// Since start.
struct PoolCounters {
  uint64_t blocks_asked = 0, blocks_hit = 0;  // beyond what readers have
  uint64_t blocks_from_disk = 0;
  uint64_t fetches = 0, fetches_empty = 0, fetches_held = 0, fetches_lost = 0;
  uint64_t stores = 0, stores_unwanted = 0, stores_held = 0, stores_lost = 0;
  uint64_t blocks_stored = 0, blocks_not_admitted = 0, blocks_evicted = 0;
  uint64_t disk_written = 0, disk_read = 0, disk_refused = 0, disk_skipped = 0, disk_dropped = 0;
  uint64_t busy = 0;  // calls answered with nothing because too much is under way
};

}  // namespace baton::pool
