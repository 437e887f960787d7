// Compiled for one instruction set only: nothing here or in the headers it takes from cpu/ may define an
// inline function that other code could share, or the linker might keep this copy of it for all processors.

#include "engine/kernels/cpu/attention_impl.h"
#include "engine/kernels/cpu/elementwise_impl.h"
#include "engine/kernels/cpu/gemm_impl.h"
#include "engine/kernels/cpu/tables.h"
#include "engine/kernels/cpu/vec_avx2.h"

namespace baton::kernels {

const KernelTable& Kernels256() {
  using V = Vec256;
  static constexpr KernelTable kTable = {Isa::kAvx2,        &Gemm<V>,           &RmsNorm<V>,
                                         &SiluMul<V>,       &Rope<V>,           &StoreKv<V>,
                                         &AttendSegment<V>, &MergeAttention<V>, &FinishAttention<V>};
  return kTable;
}

}  // namespace baton::kernels
