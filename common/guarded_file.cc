#include "common/guarded_file.h"

#include <fcntl.h>
#include <sys/stat.h>
#include <unistd.h>

#include <cerrno>
#include <cstdio>

#include "absl/strings/str_cat.h"
#include "absl/strings/str_format.h"
#include "common/file_descriptor.h"
#include "common/status_macros.h"

namespace baton {
namespace {

absl::Status Check(const struct stat& info, const std::string& path, FileGuard guard, size_t most) {
  if (!S_ISREG(info.st_mode)) return absl::InvalidArgumentError(absl::StrCat(path, " is no file"));
  if (static_cast<size_t>(info.st_size) > most)
    return absl::InvalidArgumentError(absl::StrCat(path, " has more than ", most, " bytes"));
  const bool roots = info.st_uid == 0;
  if (!roots && info.st_uid != geteuid())
    return absl::PermissionDeniedError(absl::StrCat(path, " belongs to another user"));
  const mode_t forbidden = guard == FileGuard::kTrusted ? 0022 : roots && geteuid() != 0 ? 0037 : 0077;
  if ((info.st_mode & forbidden) == 0) return absl::OkStatus();
  const bool secret = guard == FileGuard::kSecret;
  return absl::PermissionDeniedError(absl::StrFormat("%s has mode %04o, so others may %s it: chmod %s %s",
                                                     path, info.st_mode & 07777, secret ? "use" : "change",
                                                     secret ? "600" : "go-w", path));
}

}  // namespace

absl::StatusOr<std::string> ReadGuardedFile(const std::string& path, FileGuard guard, size_t most) {
  const FileDescriptor file(open(path.c_str(), O_RDONLY | O_CLOEXEC | O_NONBLOCK));
  if (file.get() < 0) return absl::ErrnoToStatus(errno, absl::StrCat("cannot read ", path));
  struct stat info {};
  if (fstat(file.get(), &info) != 0) return absl::ErrnoToStatus(errno, absl::StrCat("cannot look at ", path));
  BATON_RETURN_IF_ERROR(Check(info, path, guard, most));
  std::string content(most, '\0');
  size_t length = 0;
  for (ssize_t got = 1; got > 0 && length < most; length += got) {
    got = read(file.get(), content.data() + length, most - length);
    if (got < 0) return absl::ErrnoToStatus(errno, absl::StrCat("cannot read ", path));
  }
  content.resize(length);
  return content;
}

absl::Status WriteGuardedFile(const std::string& path, absl::string_view content, FileGuard guard,
                              bool replace) {
  const std::string fresh = absl::StrCat(path, ".new.", getpid());
  const mode_t mode = guard == FileGuard::kSecret ? 0600 : 0644;
  {
    unlink(fresh.c_str());
    const FileDescriptor file(open(fresh.c_str(), O_WRONLY | O_CREAT | O_EXCL | O_CLOEXEC, mode));
    if (file.get() < 0) return absl::ErrnoToStatus(errno, absl::StrCat("cannot create ", fresh));
    const ssize_t written = write(file.get(), content.data(), content.size());
    if (written != static_cast<ssize_t>(content.size()) || fchmod(file.get(), mode) != 0 ||
        fsync(file.get()) != 0) {
      unlink(fresh.c_str());
      return absl::InternalError(absl::StrCat("cannot write ", fresh, ": is the disk full?"));
    }
  }
  const bool named =
      replace ? rename(fresh.c_str(), path.c_str()) == 0 : link(fresh.c_str(), path.c_str()) == 0;
  const int error = errno;
  if (!replace || !named) unlink(fresh.c_str());
  if (named) return absl::OkStatus();
  return absl::ErrnoToStatus(error, absl::StrCat("cannot write ", path));
}

}  // namespace baton
