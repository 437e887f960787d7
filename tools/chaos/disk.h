#pragma once

// The disk under a KV pool's disk tier, made slow or full. Slow: a small library of ours is loaded into
// baton-kv before its C library (LD_PRELOAD) and waits in pread, pwrite, fsync and fdatasync; how long is
// read from a file mapped by both. Full: the folder is a small tmpfs of its own, and what is free of it is
// filled; writes fail with the kernel's own ENOSPC.

#include <atomic>
#include <memory>
#include <string>

#include "absl/status/statusor.h"
#include "tools/chaos/driver.h"

namespace baton::chaos {

// The file that the library maps: one 64-bit number, the microseconds that each call waits.
using SlowDiskMicros = std::atomic<uint64_t>;

class Disk {
 public:
  // Makes `folder` and the control file beside it. As root, the folder is a tmpfs a little larger than
  // `size_mb`; without, it is a plain one, which cannot be made full.
  static absl::StatusOr<std::unique_ptr<Disk>> Make(const std::string& folder, int size_mb);
  ~Disk();  // unmounts

  const std::string& folder() const { return folder_; }
  const std::string& control() const { return control_; }
  // FAILED_PRECONDITION: it cannot be full, without root.
  absl::Status Set(const DiskFault& fault);

 private:
  Disk(std::string folder, std::string control, SlowDiskMicros* micros, bool mounted);
  std::string Filler() const { return folder_ + "/filler"; }

  std::string folder_, control_;
  SlowDiskMicros* micros_;  // mapped
  bool mounted_;
};

}  // namespace baton::chaos
