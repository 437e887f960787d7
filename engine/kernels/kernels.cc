#include "engine/kernels/kernels.h"

#include "engine/kernels/cpu/tables.h"

namespace baton::kernels {

const KernelTable& Kernels(Isa isa) {
#if defined(__x86_64__)
  if (isa == Isa::kAvx512) return Kernels512();
  if (isa == Isa::kAvx2) return Kernels256();
#endif
  return KernelsScalar();
}

}  // namespace baton::kernels
