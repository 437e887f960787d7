#include "common/xxh3_long.h"

namespace baton::xxh3 {
namespace {

struct Wide {
  static Wide Load(const void* from) { return {_mm512_loadu_si512(from)}; }
  void Save(void* to) const { _mm512_storeu_si512(to, v); }
  void Stream(void* to) const { _mm512_stream_si512(static_cast<__m512i*>(to), v); }
  struct Partial;
  void Take(const Partial& partial);
  void Scramble(const std::byte* secret) {
    const __m512i prime = _mm512_set1_epi32(kPrime32);
    const __m512i folded = _mm512_xor_si512(v, _mm512_srli_epi64(v, 47));
    const __m512i mixed = _mm512_xor_si512(folded, _mm512_loadu_si512(secret));
    const __m512i high = _mm512_mul_epu32(_mm512_srli_epi64(mixed, 32), prime);
    v = _mm512_add_epi64(_mm512_mul_epu32(mixed, prime), _mm512_slli_epi64(high, 32));
  }
  __m512i v;
};

struct Wide::Partial {
  void Add(const Wide& data, const Wide& key) {
    const __m512i keyed = _mm512_xor_si512(data.v, key.v);
    products = _mm512_add_epi64(products, _mm512_mul_epu32(keyed, _mm512_srli_epi64(keyed, 32)));
    plain = _mm512_add_epi64(plain, data.v);
  }
  __m512i products, plain;
};

void Wide::Take(const Partial& partial) {
  const __m512i swapped = _mm512_shuffle_epi32(partial.plain, _MM_PERM_BADC);
  v = _mm512_add_epi64(v, _mm512_add_epi64(partial.products, swapped));
}

}  // namespace

const Functions kAvx512 = FunctionsOf<Wide>();

}  // namespace baton::xxh3
