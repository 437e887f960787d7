#pragma once

// Buffers that large pieces pass through, used again and again: neither zeroed nor entered into the page
// tables anew. One thread owns it.

#include <algorithm>
#include <cstddef>
#include <memory>
#include <utility>
#include <vector>

namespace baton {

class Staging {
 public:
  // A buffer of a Staging; back to it when it goes. The Staging outlives it.
  class Buffer {
   public:
    Buffer() = default;
    Buffer(Buffer&& other) noexcept { *this = std::move(other); }
    Buffer& operator=(Buffer&& other) noexcept {
      std::swap(home_, other.home_);
      std::swap(bytes_, other.bytes_);
      std::swap(size_, other.size_);
      std::swap(capacity_, other.capacity_);
      return *this;
    }
    ~Buffer() {
      if (home_ != nullptr) home_->Give(std::move(*this));
    }
    std::byte* data() const { return bytes_.get(); }
    size_t size() const { return size_; }
    bool empty() const { return size_ == 0; }

   private:
    friend class Staging;
    Staging* home_ = nullptr;
    std::unique_ptr<std::byte[]> bytes_;
    size_t size_ = 0, capacity_ = 0;
  };

  // At most `keep` unused buffers are kept.
  explicit Staging(size_t keep) : keep_(keep) {}

  // Of undefined contents.
  Buffer Take(size_t size) {
    Buffer buffer;
    const auto fits =
        std::find_if(free_.begin(), free_.end(), [&](const Buffer& b) { return b.capacity_ >= size; });
    if (fits != free_.end()) {
      buffer = std::move(*fits);
      free_.erase(fits);
    } else {
      buffer.bytes_ = std::make_unique_for_overwrite<std::byte[]>(size);
      buffer.capacity_ = size;
    }
    buffer.size_ = size;
    buffer.home_ = this;
    return buffer;
  }

 private:
  void Give(Buffer&& buffer) {
    buffer.home_ = nullptr;
    if (free_.size() < keep_) free_.push_back(std::move(buffer));
  }

  const size_t keep_;
  std::vector<Buffer> free_;
};

}  // namespace baton
