#pragma once

// A cursor over untrusted bytes: every read is checked against what is left. Little-endian, as GGUF is.
// Not thread-safe; the views it returns live as long as the bytes it was given.

#include <cstddef>
#include <cstdint>
#include <cstring>
#include <type_traits>

#include "absl/strings/string_view.h"
#include "absl/types/span.h"

namespace baton {

class ByteReader {
 public:
  explicit ByteReader(absl::Span<const std::byte> bytes) : bytes_(bytes) {}

  size_t position() const { return position_; }
  size_t left() const { return bytes_.size() - position_; }

  // False, and the cursor stays, if fewer than sizeof(T) bytes are left.
  template <typename T>
  [[nodiscard]] bool Read(T* out) {
    static_assert(std::is_trivially_copyable_v<T>);
    if (left() < sizeof(T)) return false;
    std::memcpy(out, bytes_.data() + position_, sizeof(T));
    position_ += sizeof(T);
    return true;
  }

  [[nodiscard]] bool ReadBytes(uint64_t count, absl::Span<const std::byte>* out) {
    if (count > left()) return false;
    *out = bytes_.subspan(position_, count);
    position_ += count;
    return true;
  }

  // A 64-bit length, then that many bytes.
  [[nodiscard]] bool ReadString(absl::string_view* out) {
    uint64_t length = 0;
    absl::Span<const std::byte> raw;
    if (!Read(&length) || !ReadBytes(length, &raw)) return false;
    *out = absl::string_view(reinterpret_cast<const char*>(raw.data()), raw.size());
    return true;
  }

 private:
  absl::Span<const std::byte> bytes_;
  size_t position_ = 0;
};

}  // namespace baton
