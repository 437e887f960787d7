#pragma once

// A block on disk, of fixed size for one layout: header (128 bytes), one checksum per unit, the page's bytes.
// A segment file is nothing but records: record `slot` begins at slot * RecordBytes(). Numbers are
// little-endian. docs/kv_pool.md says why no torn, stale or foreign record is believed.

#include <cstdint>
#include <string>
#include <vector>

#include "absl/status/status.h"
#include "absl/types/span.h"
#include "common/ids.h"
#include "common/kv_layout.h"

namespace baton::pool {

// Where a record is. Segment numbers rise for ever, from 1.
struct DiskPlace {
  uint64_t segment = 0;  // 0: nowhere
  uint32_t slot = 0;
  auto operator<=>(const DiskPlace&) const = default;
  bool empty() const { return segment == 0; }
};

// What all records of a folder have in common.
struct DiskSpace {
  Id128 pool;   // of the folder: made once
  Id128 space;  // digest of numeric fingerprint and layout
  uint64_t data_bytes = 0;
  uint32_t unit_bytes = 0;

  uint32_t Units() const { return static_cast<uint32_t>(data_bytes / unit_bytes); }
  uint64_t RecordBytes() const;
  size_t HeadBytes() const;  // header and checksums
};

DiskSpace MakeDiskSpace(const Id128& pool, const std::string& fingerprint, const KvLayout& layout);

struct RecordName {
  BlockHash key, parent;  // parent empty: the first block of a sequence
  uint64_t sequence = 0;  // of writes, ever
  DiskPlace place;
};

// Header and checksums, as they stand before the data.
std::vector<std::byte> EncodeHead(const DiskSpace& space, const RecordName& name,
                                  absl::Span<const uint64_t> sums);
// `head` is of HeadBytes() and was read at `place`. DataLoss: it is torn, of another place, pool or space.
absl::Status DecodeHead(const DiskSpace& space, DiskPlace place, absl::Span<const std::byte> head,
                        RecordName* name, std::vector<uint64_t>* sums);

// One checksum per unit of a page.
std::vector<uint64_t> SumUnits(absl::Span<const std::byte> page, size_t unit_bytes);

}  // namespace baton::pool
