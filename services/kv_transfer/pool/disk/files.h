#pragma once

// The files of a disk tier: what the operating system promises, and no more. Written bytes are in the file
// for this process at once; on the disk, whole or in part and in any order, at any time until Sync has
// returned. Files and folders are used by one thread.
//
// Errors: ResourceExhausted (no space), Unavailable (the device or its file system fails), NotFound.

#include <cstdint>
#include <memory>
#include <string>
#include <vector>

#include "absl/status/status.h"
#include "absl/status/statusor.h"
#include "absl/types/span.h"

namespace baton::pool {

class DiskFile {
 public:
  virtual ~DiskFile() = default;
  // Bytes read into the front of `out`: fewer than its size only where the file ends.
  virtual absl::StatusOr<size_t> Read(uint64_t offset, absl::Span<std::byte> out) = 0;
  // All of it, or an error: then any part of it may be there.
  virtual absl::Status Write(uint64_t offset, absl::Span<const std::byte> bytes) = 0;
  virtual absl::Status Sync() = 0;
  virtual absl::StatusOr<uint64_t> Size() = 0;
};

class DiskFolder {
 public:
  virtual ~DiskFolder() = default;
  virtual absl::StatusOr<std::vector<std::string>> List() = 0;
  // Makes the file if `create`.
  virtual absl::StatusOr<std::unique_ptr<DiskFile>> Open(const std::string& name, bool create) = 0;
  virtual absl::Status Remove(const std::string& name) = 0;
  // Files made and removed until now stay so.
  virtual absl::Status Sync() = 0;
};

// A folder of the system's, made if it is absent; locked for this process as long as the object lives.
// FailedPrecondition: another process has it.
absl::StatusOr<std::unique_ptr<DiskFolder>> OpenFolder(const std::string& path);

}  // namespace baton::pool
