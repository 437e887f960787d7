#pragma once

// One table per instruction set that this build holds (kernels_*.cc).

#include "engine/kernels/kernels.h"

namespace baton::kernels {

const KernelTable& KernelsScalar();
const KernelTable& Kernels256();
const KernelTable& Kernels512();

}  // namespace baton::kernels
