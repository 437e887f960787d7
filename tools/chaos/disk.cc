#include "tools/chaos/disk.h"

#include <fcntl.h>
#include <sys/mman.h>
#include <sys/mount.h>
#include <unistd.h>

#include <cerrno>
#include <filesystem>
#include <vector>

#include "absl/strings/str_cat.h"
#include "common/file_descriptor.h"

namespace baton::chaos {
namespace {

constexpr size_t kStep = 256 << 10;

absl::StatusOr<SlowDiskMicros*> MapControl(const std::string& path) {
  const FileDescriptor file(open(path.c_str(), O_RDWR | O_CREAT | O_CLOEXEC, 0600));
  if (file.get() < 0 || ftruncate(file.get(), sizeof(SlowDiskMicros)) != 0)
    return absl::ErrnoToStatus(errno, absl::StrCat("cannot make ", path));
  void* mapped = mmap(nullptr, sizeof(SlowDiskMicros), PROT_READ | PROT_WRITE, MAP_SHARED, file.get(), 0);
  if (mapped == MAP_FAILED) return absl::ErrnoToStatus(errno, absl::StrCat("cannot map ", path));
  return new (mapped) SlowDiskMicros(0);
}

// Writes until nothing more goes in.
absl::Status Fill(const std::string& path) {
  const FileDescriptor file(open(path.c_str(), O_WRONLY | O_CREAT | O_CLOEXEC, 0600));
  const std::vector<char> zeros(kStep);
  size_t step = file.get() < 0 ? 0 : kStep;
  while (step > 0) {
    const ssize_t n = write(file.get(), zeros.data(), step);
    if (n < 0 && errno != ENOSPC) return absl::ErrnoToStatus(errno, absl::StrCat("cannot fill ", path));
    if (n <= 0) step /= 2;
  }
  return file.get() < 0 && errno != ENOSPC ? absl::ErrnoToStatus(errno, absl::StrCat("cannot fill ", path))
                                           : absl::OkStatus();
}

}  // namespace

Disk::Disk(std::string folder, std::string control, SlowDiskMicros* micros, bool mounted)
    : folder_(std::move(folder)), control_(std::move(control)), micros_(micros), mounted_(mounted) {}

Disk::~Disk() {
  munmap(micros_, sizeof *micros_);
  if (mounted_) umount2(folder_.c_str(), MNT_DETACH);
}

absl::StatusOr<std::unique_ptr<Disk>> Disk::Make(const std::string& folder, int size_mb) {
  std::error_code error;
  std::filesystem::create_directories(folder, error);
  if (error) return absl::UnavailableError(absl::StrCat("cannot make ", folder, ": ", error.message()));
  const std::string control = folder + ".slow";
  const auto micros = MapControl(control);
  if (!micros.ok()) return micros.status();
  const std::string size = absl::StrCat("mode=0700,size=", size_mb + size_mb / 8 + 16, "m");
  const bool mounted = geteuid() == 0 &&
                       mount("baton-chaos", folder.c_str(), "tmpfs", MS_NODEV | MS_NOSUID, size.c_str()) == 0;
  return std::unique_ptr<Disk>(new Disk(folder, control, *micros, mounted));
}

absl::Status Disk::Set(const DiskFault& fault) {
  micros_->store(static_cast<uint64_t>(fault.delay_ms * 1000));
  if (fault.full) {
    if (mounted_) return Fill(Filler());
    return absl::FailedPreconditionError("a full disk needs root: it is a small tmpfs that is filled");
  }
  unlink(Filler().c_str());
  return absl::OkStatus();
}

}  // namespace baton::chaos
