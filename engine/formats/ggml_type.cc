#include <utility>

#include "engine/formats/gguf.h"

namespace baton {

absl::string_view GgmlTypeName(GgmlType type) {
  switch (type) {
    case GgmlType::kF32:
      return "F32";
    case GgmlType::kF16:
      return "F16";
    case GgmlType::kQ4_0:
      return "Q4_0";
    case GgmlType::kQ4_1:
      return "Q4_1";
    case GgmlType::kQ8_0:
      return "Q8_0";
    case GgmlType::kBF16:
      return "BF16";
  }
  return "unknown";
}

int GgmlBlockElements(GgmlType type) {
  switch (type) {
    case GgmlType::kF32:
    case GgmlType::kF16:
    case GgmlType::kBF16:
      return 1;
    case GgmlType::kQ4_0:
    case GgmlType::kQ4_1:
    case GgmlType::kQ8_0:
      return 32;
  }
  return 1;
}

size_t GgmlBlockBytes(GgmlType type) {
  constexpr size_t kHalf = 2;
  switch (type) {
    case GgmlType::kF32:
      return 4;
    case GgmlType::kF16:
    case GgmlType::kBF16:
      return kHalf;
    case GgmlType::kQ4_0:
      return kHalf + 16;
    case GgmlType::kQ4_1:
      return 2 * kHalf + 16;
    case GgmlType::kQ8_0:
      return kHalf + 32;
  }
  return 1;
}

}  // namespace baton
