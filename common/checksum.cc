#include "common/checksum.h"

#include <cstring>

#if defined(__x86_64__)
#include "common/xxh3_long.h"
#else
#define XXH_INLINE_ALL
#include <xxhash.h>
#endif

namespace baton {
namespace {

#if defined(__x86_64__)
// This CPU's; null if it has neither.
const xxh3::Functions* Vectors() {
  static const xxh3::Functions* const kBest = __builtin_cpu_supports("avx512f") ? &xxh3::kAvx512
                                              : __builtin_cpu_supports("avx2")  ? &xxh3::kAvx2
                                                                                : nullptr;
  return kBest;
}

// Whether the vector functions may copy so: past the caches only whole, aligned lines go.
bool WholeLines(absl::Span<const std::byte> bytes, const std::byte* out) {
  return bytes.size() > xxh3::kLongest && bytes.size() % xxh3::kStripe == 0 &&
         reinterpret_cast<uintptr_t>(out) % xxh3::kStripe == 0;
}
#endif

}  // namespace

uint64_t Checksum64(absl::Span<const std::byte> bytes) {
#if defined(__x86_64__)
  if (const auto* vectors = Vectors(); vectors != nullptr && bytes.size() > xxh3::kLongest) {
    return vectors->sum(bytes.data(), nullptr, bytes.size());
  }
#endif
  return XXH3_64bits(bytes.data(), bytes.size());
}

uint64_t CopyChecksum64(absl::Span<const std::byte> bytes, std::byte* out) {
#if defined(__x86_64__)
  if (const auto* vectors = Vectors(); vectors != nullptr && WholeLines(bytes, out)) {
    return vectors->copy_and_sum(bytes.data(), out, bytes.size());
  }
#endif
  if (!bytes.empty()) std::memcpy(out, bytes.data(), bytes.size());
  return Checksum64({out, bytes.size()});
}

void CopyPastCaches(absl::Span<const std::byte> bytes, std::byte* out) {
#if defined(__x86_64__)
  if (const auto* vectors = Vectors(); vectors != nullptr && WholeLines(bytes, out)) {
    vectors->copy(bytes.data(), out, bytes.size());
    return;
  }
#endif
  if (!bytes.empty()) std::memcpy(out, bytes.data(), bytes.size());
}

void CopiesDone() {
#if defined(__x86_64__)
  _mm_sfence();
#endif
}

}  // namespace baton
