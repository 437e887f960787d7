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

// The sum of some stripes of one block, the first of them its `first`-th. What the two halves of each 16
// bytes add to each other is summed unswapped and swapped once at the end; unrolled, so that the keys can
// stay in registers.
template <typename Vector, Pass kPass, size_t kStripes>
[[gnu::always_inline]] inline void AddStripes(const std::byte* in, std::byte* out, size_t first,
                                              Vector* sum) {
  const auto* const keys = reinterpret_cast<const std::byte*>(XXH3_kSecret) + 8 * first;
  typename Vector::Partial partial{};
#pragma GCC unroll 16
  for (size_t i = 0; i < kStripes; ++i) {
    if (kPass != Pass::kSum)
      _mm_prefetch(reinterpret_cast<const char*>(in + i * kStripe + kAhead), _MM_HINT_T0);
    const Vector data = Vector::Load(in + i * kStripe);
    if (kPass != Pass::kSum) data.Stream(out + i * kStripe);
    if (kPass != Pass::kCopy) partial.Add(data, Vector::Load(keys + 8 * i));
  }
  if (kPass != Pass::kCopy) sum->Take(partial);
}

// The checksum of in[0, size), 0 for kCopy. Copies to `out`, past the caches: then `size` is a multiple of 64
// and `out` is aligned to 64.
template <typename Vector, Pass kPass>
uint64_t Long(const std::byte* in, std::byte* out, size_t size) {
  constexpr size_t kBlock = kStripesPerBlock * kStripe;
  alignas(kStripe) uint64_t accumulators[8] = XXH3_INIT_ACC;
  Vector sum = Vector::Load(accumulators);
  const auto* const secret_end = reinterpret_cast<const std::byte*>(XXH3_kSecret) + sizeof XXH3_kSecret;
  size_t at = 0, left = (size - 1) / kStripe;  // stripes before the last one
  for (; left >= kStripesPerBlock; left -= kStripesPerBlock, at += kBlock) {
    AddStripes<Vector, kPass, kStripesPerBlock>(in + at, out + at, 0, &sum);
    if (kPass != Pass::kCopy) sum.Scramble(secret_end - kStripe);
  }
  if (left == kStripesPerBlock - 1) {  // whole blocks: the usual case
    AddStripes<Vector, kPass, kStripesPerBlock - 1>(in + at, out + at, 0, &sum);
  } else {
    for (size_t i = 0; i < left; ++i)
      AddStripes<Vector, kPass, 1>(in + at + i * kStripe, out + at + i * kStripe, i, &sum);
  }
  const Vector last = Vector::Load(in + size - kStripe);
  if (kPass != Pass::kSum) last.Stream(out + size - kStripe);
  if (kPass == Pass::kCopy) return 0;
  typename Vector::Partial partial{};
  partial.Add(last, Vector::Load(secret_end - kStripe - 7));
  sum.Take(partial);
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
