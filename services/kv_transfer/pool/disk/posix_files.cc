#include <dirent.h>
#include <fcntl.h>
#include <sys/file.h>
#include <sys/stat.h>
#include <unistd.h>

#include <cerrno>
#include <cstring>
#include <filesystem>
#include <utility>

#include "absl/strings/str_cat.h"
#include "services/kv_transfer/pool/disk/files.h"

namespace baton::pool {
namespace {

constexpr char kLockName[] = "lock";

absl::Status Failed(const std::string& what, int error) {
  const std::string text = absl::StrCat(what, ": ", std::strerror(error));
  if (error == ENOENT) return absl::NotFoundError(text);
  if (error == ENOSPC || error == EDQUOT || error == EFBIG) return absl::ResourceExhaustedError(text);
  return absl::UnavailableError(text);
}

class Descriptor {
 public:
  explicit Descriptor(int fd) : fd_(fd) {}
  Descriptor(Descriptor&& other) noexcept : fd_(std::exchange(other.fd_, -1)) {}
  Descriptor(const Descriptor&) = delete;
  Descriptor& operator=(const Descriptor&) = delete;
  ~Descriptor() {
    if (fd_ >= 0) close(fd_);
  }
  int get() const { return fd_; }

 private:
  int fd_;
};

class PosixFile final : public DiskFile {
 public:
  PosixFile(Descriptor fd, std::string path) : fd_(std::move(fd)), path_(std::move(path)) {}

  absl::StatusOr<size_t> Read(uint64_t offset, absl::Span<std::byte> out) override {
    size_t done = 0;
    while (done < out.size()) {
      const ssize_t n =
          pread(fd_.get(), out.data() + done, out.size() - done, static_cast<off_t>(offset + done));
      if (n < 0 && errno == EINTR) continue;
      if (n < 0) return Failed("read " + path_, errno);
      if (n == 0) break;
      done += static_cast<size_t>(n);
    }
    return done;
  }

  absl::Status Write(uint64_t offset, absl::Span<const std::byte> bytes) override {
    size_t done = 0;
    while (done < bytes.size()) {
      const ssize_t n =
          pwrite(fd_.get(), bytes.data() + done, bytes.size() - done, static_cast<off_t>(offset + done));
      if (n < 0 && errno == EINTR) continue;
      if (n <= 0) return Failed("write " + path_, n == 0 ? ENOSPC : errno);
      done += static_cast<size_t>(n);
    }
    return absl::OkStatus();
  }

  absl::Status Sync() override {
    return fdatasync(fd_.get()) == 0 ? absl::OkStatus() : Failed("sync " + path_, errno);
  }

  absl::StatusOr<uint64_t> Size() override {
    struct stat found;
    if (fstat(fd_.get(), &found) != 0) return Failed("size of " + path_, errno);
    return static_cast<uint64_t>(found.st_size);
  }

 private:
  Descriptor fd_;
  std::string path_;
};

class PosixFolder final : public DiskFolder {
 public:
  PosixFolder(std::string path, Descriptor folder, Descriptor lock)
      : path_(std::move(path)), folder_(std::move(folder)), lock_(std::move(lock)) {}

  absl::StatusOr<std::vector<std::string>> List() override {
    std::error_code error;
    std::vector<std::string> names;
    for (auto it = std::filesystem::directory_iterator(path_, error);
         !error && it != std::filesystem::directory_iterator(); it.increment(error)) {
      const std::string name = it->path().filename().string();
      if (name != kLockName) names.push_back(name);
    }
    if (error) return Failed("list " + path_, error.value());
    return names;
  }

  absl::StatusOr<std::unique_ptr<DiskFile>> Open(const std::string& name, bool create) override {
    const std::string path = absl::StrCat(path_, "/", name);
    const int flags = O_RDWR | O_CLOEXEC | O_NOFOLLOW | (create ? O_CREAT : 0);
    Descriptor fd(openat(folder_.get(), name.c_str(), flags, 0600));
    if (fd.get() < 0) return Failed("open " + path, errno);
    return std::make_unique<PosixFile>(std::move(fd), path);
  }

  absl::Status Remove(const std::string& name) override {
    if (unlinkat(folder_.get(), name.c_str(), 0) == 0 || errno == ENOENT) return absl::OkStatus();
    return Failed(absl::StrCat("remove ", path_, "/", name), errno);
  }

  absl::Status Sync() override {
    return fsync(folder_.get()) == 0 ? absl::OkStatus() : Failed("sync " + path_, errno);
  }

 private:
  const std::string path_;
  Descriptor folder_, lock_;
};

}  // namespace

absl::StatusOr<std::unique_ptr<DiskFolder>> OpenFolder(const std::string& path) {
  std::error_code error;
  std::filesystem::create_directories(path, error);
  if (error) return Failed("make " + path, error.value());
  Descriptor folder(open(path.c_str(), O_RDONLY | O_DIRECTORY | O_CLOEXEC));
  if (folder.get() < 0) return Failed("open " + path, errno);
  Descriptor lock(openat(folder.get(), kLockName, O_RDWR | O_CREAT | O_CLOEXEC | O_NOFOLLOW, 0600));
  if (lock.get() < 0) return Failed(absl::StrCat("open ", path, "/", kLockName), errno);
  if (flock(lock.get(), LOCK_EX | LOCK_NB) != 0) {
    return absl::FailedPreconditionError(absl::StrCat(path, " is in use by another process"));
  }
  return std::make_unique<PosixFolder>(path, std::move(folder), std::move(lock));
}

}  // namespace baton::pool
