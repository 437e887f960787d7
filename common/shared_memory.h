#pragma once

// Memory that another process of this user on this host can map: an anonymous file, of a size that nobody can
// change, with every page there from the start. So a mapping of it never faults beyond the end, whoever dies,
// and the memory is gone when the last process that maps it is.

#include <sys/types.h>

#include <cstddef>
#include <cstdint>
#include <memory>
#include <string>

#include "absl/status/statusor.h"
#include "absl/types/span.h"

namespace baton {

// What another process needs to find a SharedMemory and to know that it is the right one: numbers of
// processes and files are used again.
struct SharedMemoryName {
  uint64_t host[2] = {};  // of the running kernel
  int32_t process = 0;
  int32_t file = 0;  // the descriptor in that process
  uint64_t inode = 0;
  uint64_t bytes = 0;
  bool operator==(const SharedMemoryName&) const = default;
};

class SharedMemory {
 public:
  // Zeroed, readable and writable. ResourceExhausted if the memory cannot be had.
  static absl::StatusOr<std::unique_ptr<SharedMemory>> Create(size_t bytes);
  ~SharedMemory();
  SharedMemory(const SharedMemory&) = delete;
  SharedMemory& operator=(const SharedMemory&) = delete;

  absl::Span<std::byte> span() const { return {data_, size_}; }
  const SharedMemoryName& name() const { return name_; }

 private:
  SharedMemory(int file, std::byte* data, size_t size) : file_(file), data_(data), size_(size) {}
  int file_;
  std::byte* data_;
  size_t size_;
  SharedMemoryName name_;
};

// Another process's SharedMemory, to be read.
class SharedMapping {
 public:
  // Unavailable: it is on another host, out of reach (another user or process namespace), gone, or not what
  // `name` says.
  static absl::StatusOr<std::unique_ptr<SharedMapping>> Open(const SharedMemoryName& name);
  ~SharedMapping();
  SharedMapping(const SharedMapping&) = delete;
  SharedMapping& operator=(const SharedMapping&) = delete;

  absl::Span<const std::byte> span() const { return {data_, size_}; }
  // Has the kernel enter bytes [offset, offset + bytes) into the page tables now, rather than at first sight;
  // takes about a millisecond for 32 MiB. A hint: failure is ignored.
  void Populate(size_t offset, size_t bytes) const;
  // Becomes readable when the process that shares it has ended.
  int process_end() const { return process_; }

 private:
  SharedMapping(int process, const std::byte* data, size_t size)
      : process_(process), data_(data), size_(size) {}
  int process_;
  const std::byte* data_;
  size_t size_;
};

}  // namespace baton
