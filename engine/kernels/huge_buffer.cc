#include "engine/kernels/huge_buffer.h"

#include <sys/mman.h>

#include <cerrno>
#include <cstring>

#include "absl/strings/str_cat.h"

namespace baton::kernels {

absl::StatusOr<HugeBuffer> HugeBuffer::Allocate(size_t bytes) {
  if (bytes == 0) return HugeBuffer();
  void* memory = mmap(nullptr, bytes, PROT_READ | PROT_WRITE, MAP_PRIVATE | MAP_ANONYMOUS, -1, 0);
  if (memory == MAP_FAILED) {
    return absl::ResourceExhaustedError(absl::StrCat("cannot map ", bytes, " bytes: ", strerror(errno)));
  }
  madvise(memory, bytes, MADV_HUGEPAGE);
  return HugeBuffer(static_cast<std::byte*>(memory), bytes);
}

HugeBuffer::~HugeBuffer() {
  if (data_ != nullptr) munmap(data_, size_);
}

}  // namespace baton::kernels
