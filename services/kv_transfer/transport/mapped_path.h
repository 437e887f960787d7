#pragma once

// Reads of a peer on the same host: its pool is mapped, and one pass copies the ranges and checks them. The
// thread that calls Progress copies, so a read that was aborted has stopped writing.

#include <deque>
#include <map>
#include <memory>

#include "common/shared_memory.h"
#include "services/kv_transfer/transport/byte_path.h"
#include "services/kv_transfer/transport/regions.h"
#include "services/kv_transfer/transport/wire_key.h"

namespace baton {

class MappedPath final : public BytePath {
 public:
  // `local` outlives the path. Unavailable: the memory cannot be mapped, and why.
  static absl::StatusOr<std::unique_ptr<BytePath>> Open(const WireKey& key, const std::string& remote_key,
                                                        const Regions* local);

  absl::string_view name() const override { return "shm"; }
  WireResult Post(ReadBatch batch) override;
  WireResult Probe(uint64_t tag, const std::string& remote_key, size_t bytes) override;
  void Abort(uint64_t tag) override;
  bool Progress(std::vector<ReadDone>* done) override;
  bool broken() const override;

 private:
  struct Window {
    std::unique_ptr<SharedMapping> mapping;
    absl::Span<const std::byte> region;
    size_t populated = 0;  // of the mapping
  };
  struct Read {
    explicit Read(ReadBatch b) : batch(std::move(b)), cursor(&batch) {}
    Read(const Read&) = delete;
    ReadBatch batch;
    RunCursor cursor;
    const Window* from = nullptr;
  };

  explicit MappedPath(const Regions* local) : local_(local) {}
  absl::StatusOr<const Window*> WindowOf(const std::string& remote_key);
  absl::Status Add(const WireKey& key, const std::string& remote_key);
  // Readies the page tables for reads to come, a piece at a time; false: all of them are.
  bool Populate();
  // Copies on, up to about `budget` bytes; whether the read is over, and how.
  bool Copy(Read& read, size_t* budget, absl::Status* status) const;

  const Regions* const local_;
  std::map<std::string, Window> windows_;  // by remote key
  std::deque<std::unique_ptr<Read>> reads_;
  std::vector<ReadDone> done_;
};

}  // namespace baton
