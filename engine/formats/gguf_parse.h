#pragma once

// The header of a GGUF file (everything before the tensors' bytes), parsed and checked. Pure: bytes in, plain
// structs out; GgufFile (gguf.h) is what callers want, this is its inside, open to tests that feed it corrupt
// bytes.

#include <cstddef>
#include <cstdint>
#include <string>
#include <vector>

#include "absl/container/flat_hash_map.h"
#include "absl/status/statusor.h"
#include "absl/strings/string_view.h"
#include "absl/types/span.h"
#include "engine/formats/gguf.h"
#include "engine/formats/gguf_value.h"

namespace baton {

inline constexpr uint64_t kMaxGgufTensors = 1 << 20;
inline constexpr uint64_t kMaxGgufKeys = 1 << 16;
inline constexpr uint32_t kMaxGgufDims = 4;
inline constexpr uint64_t kMaxGgufAlignment = 1 << 16;

struct GgufTensorInfo {
  absl::string_view name;
  GgmlType type;
  std::vector<int64_t> dims;
  uint64_t file_offset;  // of its first byte, from the start of the file
  uint64_t bytes;
};

struct GgufHeader {
  uint32_t version;
  absl::flat_hash_map<absl::string_view, GgufValue> metadata;
  std::vector<GgufTensorInfo> tensors;  // in the file's order
};

// `head` is the start of a file of `file_bytes` bytes, at least its whole header. Everything is checked:
// magic, version, counts, types, alignment, duplicate names, and that tensors lie inside the file and do not
// overlap. Views point into `head`. Takes time and memory linear in head.size(). Errors: InvalidArgument, or
// OutOfRange where the bytes end too early.
absl::StatusOr<GgufHeader> ParseGguf(absl::Span<const std::byte> head, uint64_t file_bytes);

}  // namespace baton
