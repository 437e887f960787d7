#pragma once

// Zeroed, page-aligned memory straight from the kernel, advised for huge pages. Movable; unmapped on
// destruction.

#include <cstddef>
#include <utility>

#include "absl/status/statusor.h"
#include "absl/types/span.h"

namespace baton::kernels {

class HugeBuffer {
 public:
  // ResourceExhausted if the memory cannot be had. Zero bytes give an empty buffer.
  static absl::StatusOr<HugeBuffer> Allocate(size_t bytes);

  HugeBuffer() = default;
  ~HugeBuffer();
  HugeBuffer(HugeBuffer&& other) noexcept
      : data_(std::exchange(other.data_, nullptr)), size_(std::exchange(other.size_, 0)) {}
  HugeBuffer& operator=(HugeBuffer&& other) noexcept {
    std::swap(data_, other.data_);
    std::swap(size_, other.size_);
    return *this;
  }

  std::byte* data() const { return data_; }
  size_t size() const { return size_; }
  absl::Span<std::byte> span() const { return {data_, size_}; }

 private:
  HugeBuffer(std::byte* data, size_t size) : data_(data), size_(size) {}

  std::byte* data_ = nullptr;
  size_t size_ = 0;
};

}  // namespace baton::kernels
