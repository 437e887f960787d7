#pragma once

// Which instruction set the kernels use. The choice changes speed only: every kernel computes the same bits
// on each (docs/exactness.md).

#include "absl/strings/string_view.h"

namespace baton::kernels {

enum class Isa { kScalar, kAvx2, kAvx512 };

// Whether this processor and its operating system can run it (AVX2 needs FMA and F16C too; AVX-512 needs F,
// BW, DQ, VL).
bool IsaSupported(Isa isa);
Isa BestIsa();
absl::string_view IsaName(Isa isa);

}  // namespace baton::kernels
