#pragma once

// Checksum of a KV unit's bytes: XXH3, 64 bits, the same on every machine; the widest vectors that the CPU
// has compute it. It finds corruption and stale bytes, not malice. Thread-safe.

#include <cstddef>
#include <cstdint>

#include "absl/types/span.h"

namespace baton {

uint64_t Checksum64(absl::Span<const std::byte> bytes);

// Copies `bytes` to `out` and returns the checksum of what was stored: every byte is loaded once, so that a
// source which changes meanwhile cannot make the two differ. Writes past the caches where it can: for bytes
// that nobody reads soon. Other threads see them after CopiesDone(). The two do not overlap.
uint64_t CopyChecksum64(absl::Span<const std::byte> bytes, std::byte* out);
// The same without a checksum.
void CopyPastCaches(absl::Span<const std::byte> bytes, std::byte* out);
// After the last copy, on the thread that made them.
void CopiesDone();

}  // namespace baton
