#pragma once

// Checksum of a KV unit's bytes: XXH3, 64 bits. It finds corruption and stale bytes, not malice. Thread-safe.

#include <cstddef>
#include <cstdint>

#include "absl/types/span.h"

namespace baton {

uint64_t Checksum64(absl::Span<const std::byte> bytes);

}  // namespace baton
