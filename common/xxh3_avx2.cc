#include "common/xxh3_long.h"

namespace baton::xxh3 {
namespace {

struct Narrow {
  static Narrow Load(const void* from) {
    const auto* half = static_cast<const __m256i*>(from);
    return {{_mm256_loadu_si256(half), _mm256_loadu_si256(half + 1)}};
  }
  void Save(void* to) const {
    for (int i = 0; i < 2; ++i) _mm256_storeu_si256(static_cast<__m256i*>(to) + i, v[i]);
  }
  void Stream(void* to) const {
    for (int i = 0; i < 2; ++i) _mm256_stream_si256(static_cast<__m256i*>(to) + i, v[i]);
  }
  struct Partial;
  void Take(const Partial& partial);
  void Scramble(const std::byte* secret) {
    const Narrow key = Load(secret);
    const __m256i prime = _mm256_set1_epi32(kPrime32);
    for (int i = 0; i < 2; ++i) {
      const __m256i mixed = _mm256_xor_si256(_mm256_xor_si256(v[i], _mm256_srli_epi64(v[i], 47)), key.v[i]);
      const __m256i high = _mm256_mul_epu32(_mm256_srli_epi64(mixed, 32), prime);
      v[i] = _mm256_add_epi64(_mm256_mul_epu32(mixed, prime), _mm256_slli_epi64(high, 32));
    }
  }
  __m256i v[2];
};

struct Narrow::Partial {
  void Add(const Narrow& data, const Narrow& key) {
    for (int i = 0; i < 2; ++i) {
      const __m256i keyed = _mm256_xor_si256(data.v[i], key.v[i]);
      products[i] = _mm256_add_epi64(products[i], _mm256_mul_epu32(keyed, _mm256_srli_epi64(keyed, 32)));
      plain[i] = _mm256_add_epi64(plain[i], data.v[i]);
    }
  }
  __m256i products[2], plain[2];
};

void Narrow::Take(const Partial& partial) {
  for (int i = 0; i < 2; ++i) {
    const __m256i swapped = _mm256_shuffle_epi32(partial.plain[i], 0x4e);
    v[i] = _mm256_add_epi64(v[i], _mm256_add_epi64(partial.products[i], swapped));
  }
}

}  // namespace

const Functions kAvx2 = FunctionsOf<Narrow>();

}  // namespace baton::xxh3
