#include <algorithm>

#include "gtest/gtest.h"
#include "tests/unit/engine/kernels/kernels_testing.h"

namespace baton::kernels {
namespace {

using kernels_testing::RandomFloats;
using kernels_testing::SupportedIsas;

// Keys and values of up to 256 tokens in atoms, stored by the scalar kernel.
struct Cache {
  int dim;
  KvDtype dtype;
  size_t unit;
  std::vector<std::byte> k, v;
  std::vector<float> exact_k, exact_v;  // as stored, in float32

  Cache(int head_dim, KvDtype type, int tokens)
      : dim(head_dim), dtype(type), unit(16 * head_dim * KvDtypeBytes(type)), k(unit * 16), v(unit * 16) {
    exact_k = Fill(k, tokens, 11);
    exact_v = Fill(v, tokens, 12);
  }

  std::vector<float> Fill(std::vector<std::byte>& out, int tokens, uint32_t seed) const {
    std::fill(out.begin(), out.end(), std::byte{0xff});  // beyond the tokens: NaNs
    std::vector<float> values = RandomFloats(tokens * dim, seed);
    Kernels(Isa::kScalar).store_kv(values.data(), tokens * dim, dtype, out.data());
    for (size_t i = 0; i < values.size(); ++i) {
      if (dtype == KvDtype::kF16) values[i] = HalfToFloat(FloatToHalf(values[i]));
      if (dtype == KvDtype::kBF16) values[i] = Bfloat16ToFloat(FloatToBfloat16(values[i]));
    }
    return values;
  }
};

// Attends `rows` queries, row r seeing `seen[r]` tokens, in blocks of `block` rows.
std::vector<float> Attend(Isa isa, const Cache& cache, const std::vector<float>& q,
                          const std::vector<int>& seen, int block) {
  const KernelTable& kernels = Kernels(isa);
  const int dim = cache.dim;
  std::vector<float> out(q.size());
  for (int first = 0; first < static_cast<int>(seen.size()); first += block) {
    const int rows = std::min<int>(block, seen.size() - first);
    const int most = *std::max_element(seen.begin() + first, seen.begin() + first + rows);
    std::vector<float> total(rows * (2 + dim)), next(rows * (2 + dim)),
        scratch(SegmentScratchFloats(rows, dim));
    const auto state = [&](std::vector<float>& m) {
      return AttentionState{m.data(), m.data() + rows, m.data() + 2 * rows};
    };
    for (int segment = 0; segment * kSegmentTokens < most; ++segment) {
      std::vector<int> valid(rows);
      for (int r = 0; r < rows; ++r)
        valid[r] = std::clamp(seen[first + r] - segment * kSegmentTokens, 0, kSegmentTokens);
      SegmentArgs args{q.data() + first * dim,
                       rows,
                       dim,
                       0.125f,
                       cache.dtype,
                       {},
                       {},
                       valid.data(),
                       state(segment == 0 ? total : next),
                       scratch.data()};
      for (int i = 0; i < kSegmentAtoms; ++i) {
        args.k_atoms[i] = cache.k.data() + (segment * kSegmentAtoms + i) * cache.unit;
        args.v_atoms[i] = cache.v.data() + (segment * kSegmentAtoms + i) * cache.unit;
      }
      kernels.attend_segment(args);
      if (segment > 0) kernels.merge_attention(state(total), state(next), rows, dim);
    }
    kernels.finish_attention(state(total), rows, dim, out.data() + first * dim, dim);
  }
  return out;
}

std::vector<double> Reference(const Cache& cache, const std::vector<float>& q, const std::vector<int>& seen) {
  const int dim = cache.dim;
  std::vector<double> out(q.size());
  for (size_t r = 0; r < seen.size(); ++r) {
    std::vector<double> weight(seen[r]);
    double sum = 0;
    for (int t = 0; t < seen[r]; ++t) {
      double score = 0;
      for (int d = 0; d < dim; ++d) score += double{q[r * dim + d]} * cache.exact_k[t * dim + d];
      sum += weight[t] = std::exp(score * 0.125);
    }
    for (int t = 0; t < seen[r]; ++t) {
      for (int d = 0; d < dim; ++d) out[r * dim + d] += weight[t] / sum * cache.exact_v[t * dim + d];
    }
  }
  return out;
}

TEST(Attention, IsSoftmaxAttentionWithTheSameBitsForEveryBlockAndInstructionSet) {
  const std::vector<int> seen = {1, 15, 16, 17, 63, 64, 65, 80, 127, 128, 129, 200, 200, 2, 100, 199, 64};
  for (const int dim : {16, 48, 64, 128}) {
    for (const KvDtype dtype : {KvDtype::kF32, KvDtype::kF16, KvDtype::kBF16}) {
      const Cache cache(dim, dtype, 200);
      const std::vector<float> q = RandomFloats(seen.size() * dim, 13, 2.0f);
      const std::vector<double> want = Reference(cache, q, seen);
      const std::vector<float> first = Attend(Isa::kScalar, cache, q, seen, 1);
      for (size_t i = 0; i < want.size(); ++i) ASSERT_NEAR(first[i], want[i], 2e-6) << dim << " " << i;
      for (const Isa isa : SupportedIsas()) {
        for (const int block : {1, 2, 3, 5, 8, 17}) {
          ASSERT_EQ(Attend(isa, cache, q, seen, block), first)
              << IsaName(isa).data() << " blocks of " << block;
        }
      }
    }
  }
}

TEST(Attention, HugeScoresStayFinite) {
  const Cache cache(16, KvDtype::kF32, 130);
  const std::vector<float> q = RandomFloats(16, 14, 1e4f);
  const std::vector<float> first = Attend(Isa::kScalar, cache, q, {130}, 1);
  for (const float value : first) EXPECT_TRUE(std::isfinite(value));
  for (const Isa isa : SupportedIsas()) EXPECT_EQ(Attend(isa, cache, q, {130}, 1), first);
}

}  // namespace
}  // namespace baton::kernels
