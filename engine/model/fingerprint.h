#pragma once

// What a runner computes, and how. The model id is equal iff keys and values mean the same: those of another
// model must never be attended to, whatever is allowed. The numeric fingerprint of DESIGN section 6 is equal
// iff two runners compute the same bits: the model id, and all that rounding depends on. The instruction set
// and the number of threads are no part of it, because the kernels' results do not depend on them
// (docs/exactness.md); the rotary table is, because its values come from the C library.

#include <string>

#include "common/kv_layout.h"
#include "engine/formats/gguf.h"
#include "engine/model/config.h"

namespace baton {

// Changes whenever a kernel or the order of a forward pass comes to compute other bits.
inline constexpr char kNumericsVersion[] = "baton-cpu-fp32-v1";

// A hash (XXH3-128, as hex) of every tensor's name, type, shape and bytes, and of all parameters that results
// depend on, the rotary ones included. The context's length is not one of them. It tells apart weights that
// differ, not ones made to collide.
std::string ModelId(const GgufFile& file, const ModelConfig& config);

// Of the rotary table's values on this machine.
std::string DigestRotations(const ModelConfig& config);

std::string Fingerprint(const std::string& model_id, const std::string& rotations, KvDtype kv_dtype);

}  // namespace baton
