#pragma once

// Whether a file is another one than when it was last looked at: replaced, rewritten, or behind a link that
// points elsewhere now (as Kubernetes changes what it mounts). Thread-compatible.

#include <sys/stat.h>

#include <cstdint>
#include <string>
#include <utility>

namespace baton {

class FileChange {
 public:
  explicit FileChange(std::string path) : path_(std::move(path)) {}

  // True the first time, and if anything has changed since the last call. A missing file is a state too.
  bool Changed() {
    struct stat info {};
    State now;
    if (stat(path_.c_str(), &info) == 0) {
      now = {info.st_mtim.tv_sec * int64_t{1000000000} + info.st_mtim.tv_nsec, info.st_ino,
             static_cast<uint64_t>(info.st_size), true};
    }
    const bool changed = first_ || now != last_;
    first_ = false;
    last_ = now;
    return changed;
  }
  const std::string& path() const { return path_; }

 private:
  struct State {
    int64_t changed_ns = 0;
    uint64_t inode = 0, size = 0;
    bool exists = false;
    bool operator==(const State&) const = default;
  };
  std::string path_;
  State last_;
  bool first_ = true;
};

}  // namespace baton
