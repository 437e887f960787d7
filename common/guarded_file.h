#pragma once

// Small files that matter to security: read only if nobody else can have read or changed them, written whole
// or not at all.

#include <string>

#include "absl/status/status.h"
#include "absl/status/statusor.h"
#include "absl/strings/string_view.h"

namespace baton {

enum class FileGuard {
  kSecret,   // 0600 and of this user. Of root, its group may read: so Kubernetes mounts secrets
  kTrusted,  // 0644: only this user and root may change it
};

// NotFound; PermissionDenied and InvalidArgument (no file, or more than `most` bytes) name the file and what
// to do.
absl::StatusOr<std::string> ReadGuardedFile(const std::string& path, FileGuard guard, size_t most);

// AlreadyExists, unless it may be replaced. Synced to disk before it has its name.
absl::Status WriteGuardedFile(const std::string& path, absl::string_view content, FileGuard guard,
                              bool replace);

}  // namespace baton
