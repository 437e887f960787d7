#include "common/kv_convert.h"

#include <algorithm>
#include <cstring>

#include "common/half.h"

namespace baton {
namespace {

template <typename Stored>
Stored LoadAs(const std::byte* from) {
  Stored value;
  std::memcpy(&value, from, sizeof value);
  return value;
}

float Load(KvDtype dtype, const std::byte* from) {
  switch (dtype) {
    case KvDtype::kF16:
      return HalfToFloat(LoadAs<uint16_t>(from));
    case KvDtype::kBF16:
      return Bfloat16ToFloat(LoadAs<uint16_t>(from));
    case KvDtype::kF32:
      break;
  }
  return LoadAs<float>(from);
}

void Store(KvDtype dtype, float value, std::byte* to) {
  if (dtype == KvDtype::kF32) {
    std::memcpy(to, &value, sizeof value);
    return;
  }
  const uint16_t stored = dtype == KvDtype::kF16 ? FloatToHalf(value) : FloatToBfloat16(value);
  std::memcpy(to, &stored, sizeof stored);
}

}  // namespace

void ConvertKv(KvDtype from, absl::Span<const std::byte> in, KvDtype to, absl::Span<std::byte> out) {
  const size_t in_bytes = KvDtypeBytes(from), out_bytes = KvDtypeBytes(to);
  const size_t count = std::min(in.size() / in_bytes, out.size() / out_bytes);
  for (size_t i = 0; i < count; ++i) {
    Store(to, Load(from, in.data() + i * in_bytes), out.data() + i * out_bytes);
  }
}

}  // namespace baton
