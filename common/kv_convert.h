#pragma once

// KV elements from one dtype to another: exact upwards, rounded to nearest even downwards (common/half.h).
// Only for handoffs that are said to be inexact.

#include "absl/types/span.h"
#include "common/kv_layout.h"

namespace baton {

// As many elements in `out` as in `in`; the two do not overlap, and need not be aligned.
void ConvertKv(KvDtype from, absl::Span<const std::byte> in, KvDtype to, absl::Span<std::byte> out);

}  // namespace baton
