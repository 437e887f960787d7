#pragma once

// A folder in memory whose machine or process can be killed at any operation, and whose device can be made to
// fail.
//
// After a kill of the process all that was written is there, the write under way in part. After a loss of
// power only what was synced is sure: of every later write each sector may be there or not, whatever the
// order; a file's length may be any that it had; names made or removed since the folder's last sync may or
// may not be.

#include <map>
#include <memory>
#include <optional>
#include <random>
#include <string>
#include <vector>

#include "absl/status/status.h"
#include "services/kv_transfer/pool/disk/files.h"

namespace baton::pool {

enum class Kill { kProcess, kPower };

class FaultyDisk {
 public:
  explicit FaultyDisk(uint64_t seed) : random_(seed) {}

  // The folder as the process sees it; dead after Die.
  std::unique_ptr<DiskFolder> Mount();

  // The operation that is `n` operations from now does not complete, nor does any after it.
  void KillAfter(int n, Kill how) {
    left_ = n;
    how_ = how;
  }
  bool dead() const { return dead_; }
  // What the machine finds when it is up again; then Mount() once more.
  void Reboot();

  // From now on operations fail with `status` until it is Ok.
  void Fail(absl::Status status) { failure_ = std::move(status); }
  // Reads return at most this many bytes.
  void ShortReads(size_t most) { most_read_ = most; }

  // For damage by the test itself.
  std::map<std::string, std::vector<std::byte>>& files() { return now_; }

 private:
  static constexpr size_t kSector = 512;
  using Bytes = std::vector<std::byte>;
  friend class FaultyFile;
  friend class FaultyFolder;

  // Whether the operation may go on; Unavailable if the process is dead.
  absl::Status Begin(bool* dies_in_it);
  void Blend(Bytes& sure, const Bytes& maybe);
  bool Coin() { return (random_() & 1) != 0; }

  std::mt19937_64 random_;
  std::map<std::string, Bytes> now_;      // as the process sees it
  std::map<std::string, Bytes> durable_;  // by file contents; names of the last folder sync below
  std::map<std::string, Bytes> named_;
  std::optional<int> left_;
  Kill how_ = Kill::kProcess;
  bool dead_ = false;
  absl::Status failure_;
  size_t most_read_ = SIZE_MAX;
};

}  // namespace baton::pool
