#pragma once

// Reads a GGUF v2/v3 file (ggml's docs/gguf.md). The file is memory-mapped read-only and every length, count,
// offset and type in it is checked against the file's size before use: a truncated or corrupt file is an
// error, never a crash. Immutable after Open, so thread-safe. Spans and string_views point into the mapping
// and live as long as the GgufFile.

#include <cstddef>
#include <cstdint>
#include <memory>
#include <string>
#include <vector>

#include "absl/status/statusor.h"
#include "absl/strings/string_view.h"
#include "absl/types/span.h"

namespace baton {

// Values as on disk (ggml_type). Only these can be read; any other is an error that names the tensor and the
// type.
enum class GgmlType : uint32_t { kF32 = 0, kF16 = 1, kQ4_0 = 2, kQ4_1 = 3, kQ8_0 = 8, kBF16 = 30 };

absl::string_view GgmlTypeName(GgmlType type);
int GgmlBlockElements(GgmlType type);  // 1 or 32
size_t GgmlBlockBytes(GgmlType type);

struct GgufTensor {
  std::string name;
  GgmlType type;
  // GGUF order: dims[0] is the contiguous one. A matrix y = W x has dims {in, out}: `out` rows of `in`
  // elements.
  std::vector<int64_t> dims;
  absl::Span<const std::byte> data;  // exactly the tensor's bytes
};

class GgufFile {
 public:
  static absl::StatusOr<std::unique_ptr<GgufFile>> Open(const std::string& path);
  // The same checks on a whole file already in memory, which the GgufFile then owns.
  static absl::StatusOr<std::unique_ptr<GgufFile>> FromBytes(std::string bytes);
  ~GgufFile();
  GgufFile(const GgufFile&) = delete;
  GgufFile& operator=(const GgufFile&) = delete;

  // Metadata by key. NotFound if absent, InvalidArgument if of another type. Integers of any width convert if
  // they fit.
  absl::StatusOr<int64_t> GetInt(absl::string_view key) const;
  absl::StatusOr<double> GetFloat(absl::string_view key) const;  // f32 or f64
  absl::StatusOr<bool> GetBool(absl::string_view key) const;
  absl::StatusOr<absl::string_view> GetString(absl::string_view key) const;
  absl::StatusOr<std::vector<absl::string_view>> GetStrings(absl::string_view key) const;
  absl::StatusOr<std::vector<int64_t>> GetInts(absl::string_view key) const;
  absl::StatusOr<std::vector<float>> GetFloats(absl::string_view key) const;
  bool Has(absl::string_view key) const;

  const std::vector<GgufTensor>& tensors() const;
  absl::StatusOr<const GgufTensor*> Tensor(absl::string_view name) const;

 private:
  struct Impl;
  explicit GgufFile(std::unique_ptr<Impl> impl);
  std::unique_ptr<Impl> impl_;
};

}  // namespace baton
