// Loaded into a process by LD_PRELOAD: its preads, pwrites and syncs take longer, by the microseconds that
// the file named by BATON_SLOW_DISK holds (tools/chaos/disk.h). Without that file nothing changes.

#include <dlfcn.h>
#include <fcntl.h>
#include <sys/mman.h>
#include <sys/types.h>
#include <time.h>
#include <unistd.h>

#include <poll.h>
#include <atomic>
#include <cerrno>
#include <cstdint>
#include <cstdlib>

namespace {

using Micros = std::atomic<uint64_t>;

const Micros* Map() {
  const char* path = getenv("BATON_SLOW_DISK");
  const int file = path == nullptr ? -1 : open(path, O_RDONLY | O_CLOEXEC);
  if (file < 0) return nullptr;
  void* mapped = mmap(nullptr, sizeof(Micros), PROT_READ, MAP_SHARED, file, 0);
  close(file);
  return mapped == MAP_FAILED ? nullptr : static_cast<const Micros*>(mapped);
}

void Wait() {
  static const Micros* const kMicros = Map();
  const uint64_t micros = kMicros == nullptr ? 0 : kMicros->load();
  if (micros == 0) return;
  const timespec time = {static_cast<time_t>(micros / 1000000), static_cast<long>(micros % 1000000 * 1000)};
  const int kept = errno;
  ppoll(nullptr, 0, &time, nullptr);
  errno = kept;
}

template <typename Call>
Call* Next(const char* name) {
  return reinterpret_cast<Call*>(dlsym(RTLD_NEXT, name));
}

}  // namespace

extern "C" {

ssize_t pread(int fd, void* bytes, size_t count, off_t offset) {
  static auto* const kNext = Next<ssize_t(int, void*, size_t, off_t)>("pread");
  Wait();
  return kNext(fd, bytes, count, offset);
}

ssize_t pread64(int fd, void* bytes, size_t count, off64_t offset) {
  static auto* const kNext = Next<ssize_t(int, void*, size_t, off64_t)>("pread64");
  Wait();
  return kNext(fd, bytes, count, offset);
}

ssize_t pwrite(int fd, const void* bytes, size_t count, off_t offset) {
  static auto* const kNext = Next<ssize_t(int, const void*, size_t, off_t)>("pwrite");
  Wait();
  return kNext(fd, bytes, count, offset);
}

ssize_t pwrite64(int fd, const void* bytes, size_t count, off64_t offset) {
  static auto* const kNext = Next<ssize_t(int, const void*, size_t, off64_t)>("pwrite64");
  Wait();
  return kNext(fd, bytes, count, offset);
}

int fsync(int fd) {
  static auto* const kNext = Next<int(int)>("fsync");
  Wait();
  return kNext(fd);
}

int fdatasync(int fd) {
  static auto* const kNext = Next<int(int)>("fdatasync");
  Wait();
  return kNext(fd);
}
}
