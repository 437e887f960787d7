#include "common/shared_memory.h"

#include <fcntl.h>
#include <sys/mman.h>
#include <sys/stat.h>
#include <sys/syscall.h>
#include <unistd.h>

#include <algorithm>
#include <cerrno>
#include <cstring>
#include <fstream>
#include <utility>

#include "absl/strings/escaping.h"
#include "absl/strings/str_cat.h"
#include "absl/strings/str_replace.h"
#include "common/file_descriptor.h"

namespace baton {
namespace {

// Of Linux 5.14; older ones refuse them, and pages are entered when they are first touched.
constexpr int kPopulateRead = 22, kPopulateWrite = 23;

// Nobody may change the size any more, nor this.
constexpr int kSealed = F_SEAL_SHRINK | F_SEAL_GROW | F_SEAL_SEAL;

absl::Status Error(absl::string_view what) {
  return absl::UnavailableError(absl::StrCat(what, ": ", strerror(errno)));
}

// The kernel's id of this boot: processes that see the same one are on the same host.
void ReadHost(uint64_t (&host)[2]) {
  std::ifstream in("/proc/sys/kernel/random/boot_id");
  std::string text;
  in >> text;
  const std::string bytes = absl::HexStringToBytes(absl::StrReplaceAll(text, {{"-", ""}}));
  if (bytes.size() == sizeof host) std::memcpy(host, bytes.data(), sizeof host);
}

uint64_t InodeOf(int fd) {
  struct stat info = {};
  return fstat(fd, &info) == 0 ? info.st_ino : 0;
}

}  // namespace

absl::StatusOr<std::unique_ptr<SharedMemory>> SharedMemory::Create(size_t bytes) {
  const auto refuse = [&](absl::string_view step) {
    return absl::ResourceExhaustedError(
        absl::StrCat("cannot share ", bytes, " bytes of memory: ", step, ": ", strerror(errno)));
  };
  FileDescriptor file(memfd_create("baton", MFD_CLOEXEC | MFD_ALLOW_SEALING));
  if (file.get() < 0) return refuse("memfd_create");
  if (ftruncate(file.get(), static_cast<off_t>(bytes)) != 0) return refuse("ftruncate");
  void* data = mmap(nullptr, bytes, PROT_READ | PROT_WRITE, MAP_SHARED, file.get(), 0);
  if (data == MAP_FAILED) return refuse("mmap");
  std::unique_ptr<SharedMemory> memory(
      new SharedMemory(file.Release(), static_cast<std::byte*>(data), bytes));
  madvise(data, bytes, MADV_HUGEPAGE);
  if (fallocate(memory->file_, 0, 0, static_cast<off_t>(bytes)) != 0) return refuse("fallocate");
  madvise(data, bytes, kPopulateWrite);
  if (fcntl(memory->file_, F_ADD_SEALS, kSealed) != 0) return refuse("seal");
  memory->name_ = {{}, getpid(), memory->file_, InodeOf(memory->file_), bytes};
  ReadHost(memory->name_.host);
  return memory;
}

SharedMemory::~SharedMemory() {
  munmap(data_, size_);
  close(file_);
}

absl::StatusOr<std::unique_ptr<SharedMapping>> SharedMapping::Open(const SharedMemoryName& name) {
  uint64_t host[2] = {};
  ReadHost(host);
  if (host[0] == 0 || host[0] != name.host[0] || host[1] != name.host[1]) {
    return absl::UnavailableError("the peer is on another host");
  }
  FileDescriptor process(static_cast<int>(syscall(SYS_pidfd_open, name.process, 0)));
  if (process.get() < 0) return Error("the peer's process cannot be found");
  const std::string path = absl::StrCat("/proc/", name.process, "/fd/", name.file);
  FileDescriptor file(open(path.c_str(), O_RDONLY | O_CLOEXEC | O_NONBLOCK | O_NOCTTY));
  if (file.get() < 0) return Error("the peer's memory cannot be opened");
  struct stat info = {};
  if (fstat(file.get(), &info) != 0) return Error("fstat");
  const int seals = fcntl(file.get(), F_GET_SEALS);
  if (info.st_ino != name.inode || static_cast<uint64_t>(info.st_size) != name.bytes || seals < 0 ||
      (seals & kSealed) != kSealed || name.bytes == 0) {
    return absl::UnavailableError("the peer's memory is not what it was said to be");
  }
  void* data = mmap(nullptr, name.bytes, PROT_READ, MAP_SHARED, file.get(), 0);
  if (data == MAP_FAILED) return Error("mmap");
  return std::unique_ptr<SharedMapping>(
      new SharedMapping(process.Release(), static_cast<const std::byte*>(data), name.bytes));
}

void SharedMapping::Populate(size_t offset, size_t bytes) const {
  if (offset >= size_) return;
  madvise(const_cast<std::byte*>(data_) + offset, std::min(bytes, size_ - offset), kPopulateRead);
}

SharedMapping::~SharedMapping() {
  munmap(const_cast<std::byte*>(data_), size_);
  close(process_);
}

}  // namespace baton
