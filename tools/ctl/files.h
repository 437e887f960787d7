#pragma once

// Small files, whole, and the ends of logs.

#include <cstdint>
#include <string>
#include <vector>

#include "absl/status/status.h"
#include "absl/status/statusor.h"

namespace baton::ctl {

// NOT_FOUND if there is no such file.
absl::StatusOr<std::string> ReadFile(const std::string& path);

// Readers see the old content or the new, never a part.
absl::Status WriteFileAtomically(const std::string& path, const std::string& content);

// Creates `path` (and its parents) for this user only; one that exists is checked.
absl::Status MakePrivateFolder(const std::string& path);
// PERMISSION_DENIED if `path` is a link, or another user owns it or may write to it; NOT_FOUND if there is
// none.
absl::Status CheckPrivateFolder(const std::string& path);

// The last `count` lines of a file; empty if it does not exist. Reads at most its last megabyte.
std::vector<std::string> LastLines(const std::string& path, size_t count);

// What was appended to a file since the last call; a file that became shorter is read from its start.
class FileTail {
 public:
  FileTail(std::string path, int64_t offset) : path_(std::move(path)), offset_(offset) {}
  std::string ReadNew();
  // The lines that were completed since; the beginning of one waits for its end.
  std::vector<std::string> ReadNewLines();

 private:
  std::string path_;
  int64_t offset_;
  std::string unfinished_;
};

int64_t FileSize(const std::string& path);  // 0 if there is none

}  // namespace baton::ctl
