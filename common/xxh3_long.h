#pragma once

// XXH3's form for inputs of more than 240 bytes, over a vector type of 64 bytes, for the files that are
// compiled for one instruction set each. Source: the xxHash specification, "XXH3 for long inputs".

#define XXH_INLINE_ALL
#include <immintrin.h>
#include <xxhash.h>

#include <cstddef>
#include <cstdint>
#include <cstring>

namespace baton::xxh3 {

inline constexpr size_t kLongest = 240;  // of the short form
inline constexpr size_t kStripe = 64;
inline constexpr size_t kStripesPerBlock = (sizeof XXH3_kSecret - kStripe) / 8;
inline constexpr size_t kAhead = 2048;  // bytes fetched before they are needed
inline constexpr auto kPrime32 = static_cast<int>(2654435761U);

enum class Pass { kSum, kCopy, kCopyAndSum };

// The checksum of in[0, size), 0 for kCopy. Copies to `out`, past the caches: then `size` is a multiple of 64
// and `out` is aligned to 64.
template <typename Vector, Pass kPass>
uint64_t Long(const std::byte* in, std::byte* out, size_t size) {
  constexpr bool kCopies = kPass != Pass::kSum;
  constexpr bool kSums = kPass != Pass::kCopy;
  alignas(kStripe) uint64_t accumulators[8] = XXH3_INIT_ACC;
  Vector sum = Vector::Load(accumulators);
  const auto* secret = reinterpret_cast<const std::byte*>(XXH3_kSecret);
  const std::byte* secret_end = secret + sizeof XXH3_kSecret;
  const size_t stripes = (size - 1) / kStripe;
  for (size_t i = 0, in_block = 0; i < stripes; ++i) {
    if (kCopies) _mm_prefetch(reinterpret_cast<const char*>(in + i * kStripe + kAhead), _MM_HINT_T0);
    const Vector data = Vector::Load(in + i * kStripe);
    if (kCopies) data.Stream(out + i * kStripe);
    if (!kSums) continue;
    sum.Accumulate(data, secret + 8 * in_block);
    if (++in_block < kStripesPerBlock) continue;
    sum.Scramble(secret_end - kStripe);
    in_block = 0;
  }
  const Vector last = Vector::Load(in + size - kStripe);
  if (kCopies) last.Stream(out + size - kStripe);
  if (!kSums) return 0;
  sum.Accumulate(last, secret_end - kStripe - 7);
  sum.Save(accumulators);
  return XXH3_mergeAccs(reinterpret_cast<const XXH64_hash_t*>(accumulators), XXH3_kSecret + 11,
                        size * XXH_PRIME64_1);
}

// One instruction set's functions.
struct Functions {
  uint64_t (*sum)(const std::byte* in, std::byte* out, size_t size);
  uint64_t (*copy)(const std::byte* in, std::byte* out, size_t size);
  uint64_t (*copy_and_sum)(const std::byte* in, std::byte* out, size_t size);
};
template <typename Vector>
constexpr Functions FunctionsOf() {
  return {&Long<Vector, Pass::kSum>, &Long<Vector, Pass::kCopy>, &Long<Vector, Pass::kCopyAndSum>};
}

extern const Functions kAvx2;
extern const Functions kAvx512;

}  // namespace baton::xxh3
