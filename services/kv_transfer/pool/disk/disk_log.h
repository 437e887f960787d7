#pragma once

// The disk tier's bytes: append-only segment files of fixed-size records (record.h). Knows no policy: the
// caller says where a block goes and which segment is dropped. What is read is verified first, whatever is in
// the files. Blocking; used by one thread.

#include <functional>
#include <map>
#include <memory>
#include <string>
#include <vector>

#include "absl/status/status.h"
#include "absl/status/statusor.h"
#include "absl/types/span.h"
#include "services/kv_transfer/pool/disk/files.h"
#include "services/kv_transfer/pool/disk/record.h"

namespace baton::pool {

struct RecoveredLog {
  std::vector<RecordName> blocks;  // of each key the latest record, oldest first
  uint64_t next_segment = 1;
  uint64_t next_sequence = 1;
  std::vector<uint64_t> segments;  // all that were kept, also those whose blocks all have later records
  uint64_t refused = 0;            // records that are not ours, or torn
};

class DiskLog {
 public:
  // The folder's pool id, made by `new_id` if there is none that can be read: then nothing in the folder is
  // believed. `space.pool` is filled in.
  static absl::StatusOr<DiskLog> Open(std::unique_ptr<DiskFolder> folder, const DiskSpace& space,
                                      const std::function<Id128()>& new_id);

  // Reads every header. Segments without a record of ours are removed, as are the oldest beyond
  // `max_segments`; nothing is ever appended to the others.
  absl::StatusOr<RecoveredLog> Recover(uint64_t max_segments);

  // Data first, then the head. An error other than InvalidArgument: the tier is not to be used any more.
  absl::Status Write(const RecordName& name, absl::Span<const uint64_t> sums,
                     absl::Span<const std::byte> page);
  // Fills `page` and its units' checksums, verified on these very bytes. DataLoss: no whole record of `key`
  // is there; `page` may hold anything. Other errors: as Write.
  absl::Status Read(DiskPlace place, const BlockHash& key, absl::Span<std::byte> page,
                    std::vector<uint64_t>* sums);
  // Nothing more is written to it: its bytes are made to stay.
  absl::Status Seal(uint64_t segment);
  absl::Status Drop(uint64_t segment);

  const DiskSpace& space() const { return space_; }

 private:
  DiskLog(std::unique_ptr<DiskFolder> folder, const DiskSpace& space)
      : folder_(std::move(folder)), space_(space) {}
  absl::StatusOr<DiskFile*> FileOf(uint64_t segment, bool create);
  absl::Status ReadSegment(uint64_t segment, RecoveredLog* log, std::vector<RecordName>* found);

  std::unique_ptr<DiskFolder> folder_;
  DiskSpace space_;
  std::map<uint64_t, std::unique_ptr<DiskFile>> open_;
};

}  // namespace baton::pool
