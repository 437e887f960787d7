#pragma once

// A file mapped read-only for its owner's lifetime. Immutable, thread-safe. A file that another process
// truncates while it is mapped raises SIGBUS on access: replace model files by rename, never in place.

#include <cstddef>
#include <string>

#include "absl/status/statusor.h"
#include "absl/types/span.h"

namespace baton {

class MappedFile {
 public:
  // Errors name the path. An empty file, or anything but a regular file, is InvalidArgument.
  static absl::StatusOr<MappedFile> Open(const std::string& path);
  MappedFile() = default;
  ~MappedFile();
  MappedFile(MappedFile&& other) noexcept;
  MappedFile& operator=(MappedFile&& other) noexcept;

  absl::Span<const std::byte> bytes() const { return bytes_; }

 private:
  explicit MappedFile(absl::Span<const std::byte> bytes) : bytes_(bytes) {}
  void Unmap();
  absl::Span<const std::byte> bytes_;
};

}  // namespace baton
