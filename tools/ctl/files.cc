#include "tools/ctl/files.h"

#include <sys/stat.h>
#include <unistd.h>

#include <cerrno>
#include <cstdio>
#include <filesystem>
#include <fstream>
#include <sstream>

#include "absl/strings/str_cat.h"
#include "absl/strings/str_split.h"

namespace baton::ctl {

namespace fs = std::filesystem;

absl::StatusOr<std::string> ReadFile(const std::string& path) {
  std::ifstream file(path, std::ios::binary);
  if (!file) return absl::NotFoundError(absl::StrCat("cannot read ", path));
  std::stringstream content;
  content << file.rdbuf();
  return content.str();
}

absl::Status WriteFileAtomically(const std::string& path, const std::string& content) {
  const std::string unfinished = absl::StrCat(path, ".new.", getpid());
  {
    std::ofstream file(unfinished, std::ios::binary | std::ios::trunc);
    file << content;
    file.flush();
    if (!file) return absl::InternalError(absl::StrCat("cannot write ", unfinished, ": is the disk full?"));
  }
  if (rename(unfinished.c_str(), path.c_str()) != 0) {
    return absl::ErrnoToStatus(errno, absl::StrCat("cannot replace ", path));
  }
  return absl::OkStatus();
}

absl::Status MakePrivateFolder(const std::string& path) {
  std::error_code error;
  const fs::path parent = fs::path(path).parent_path();
  if (!fs::exists(parent, error)) {
    const absl::Status made = MakePrivateFolder(parent.string());
    if (!made.ok()) return made;
  }
  if (mkdir(path.c_str(), 0700) == 0) return absl::OkStatus();
  if (errno != EEXIST) return absl::ErrnoToStatus(errno, absl::StrCat("cannot create ", path));
  return CheckPrivateFolder(path);
}

absl::Status CheckPrivateFolder(const std::string& path) {
  struct stat info {};
  if (lstat(path.c_str(), &info) != 0)
    return absl::ErrnoToStatus(errno, absl::StrCat("cannot look at ", path));
  if (!S_ISDIR(info.st_mode) || info.st_uid != getuid()) {
    return absl::PermissionDeniedError(
        absl::StrCat(path, " is not a folder of this user: remove it, or set XDG_STATE_HOME"));
  }
  if ((info.st_mode & (S_IWGRP | S_IWOTH)) != 0) {
    return absl::PermissionDeniedError(absl::StrCat("others may write to ", path, ": chmod go-w ", path));
  }
  return absl::OkStatus();
}

std::vector<std::string> LastLines(const std::string& path, size_t count) {
  constexpr int64_t kMost = 1 << 20;
  const int64_t size = FileSize(path);
  std::vector<std::string> lines =
      absl::StrSplit(FileTail(path, size > kMost ? size - kMost : 0).ReadNew(), '\n');
  if (!lines.empty() && lines.back().empty()) lines.pop_back();
  if (lines.size() > count) lines.erase(lines.begin(), lines.end() - count);
  return lines;
}

std::string FileTail::ReadNew() {
  const int64_t size = FileSize(path_);
  if (size < offset_) offset_ = 0;
  std::ifstream file(path_, std::ios::binary);
  if (!file || size == offset_) return "";
  file.seekg(offset_);
  std::string content(size - offset_, '\0');
  file.read(content.data(), static_cast<std::streamsize>(content.size()));
  content.resize(file.gcount());
  offset_ += static_cast<int64_t>(content.size());
  return content;
}

std::vector<std::string> FileTail::ReadNewLines() {
  std::vector<std::string> lines = absl::StrSplit(unfinished_ + ReadNew(), '\n');
  unfinished_ = std::move(lines.back());
  lines.pop_back();
  return lines;
}

int64_t FileSize(const std::string& path) {
  struct stat info {};
  return stat(path.c_str(), &info) == 0 ? info.st_size : 0;
}

}  // namespace baton::ctl
