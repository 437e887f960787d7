#pragma once

// One way to fetch the bytes of one peer's regions: shared memory, a stream, UCX. FastWire chooses one for
// each peer and speaks for it as a Transport; see transport.h for what a read is. One thread owns a path.

#include <string>
#include <vector>

#include "services/kv_transfer/transport/transport.h"

namespace baton {

struct ReadDone {
  uint64_t tag = 0;
  absl::Status status;
};

// The words for bytes that fail their check.
inline constexpr char kWrongBytes[] = "the bytes are not those that were offered";

class BytePath {
 public:
  virtual ~BytePath() = default;  // of paths that cannot recall a read: waits until none can write any more
  virtual absl::string_view name() const = 0;

  // `batch` has been checked against our own regions.
  virtual WireResult Post(ReadBatch batch) = 0;
  // Fetches up to `bytes` bytes, somewhere: how fast is this path? Completes as a read of this tag does.
  virtual WireResult Probe(uint64_t tag, const std::string& remote_key, size_t bytes) = 0;
  virtual void Abort(uint64_t tag) = 0;
  // Does a bounded amount of work and appends what completed. Returns whether there is more to do at once.
  virtual bool Progress(std::vector<ReadDone>* done) = 0;
  // Whether the peer, or the way to it, is gone for good: make another path.
  virtual bool broken() const = 0;
};

}  // namespace baton
