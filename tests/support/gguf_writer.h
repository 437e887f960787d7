#pragma once

// Builds small GGUF files for tests. Nothing is checked, so that tests can write wrong files too.

#include <cstddef>
#include <cstdint>
#include <string>
#include <string_view>
#include <vector>

#include "engine/formats/gguf.h"

namespace baton::testing {

class GgufWriter {
 public:
  explicit GgufWriter(uint32_t version = 3, uint64_t alignment = 32)
      : version_(version), alignment_(alignment) {}

  GgufWriter& AddUint32(std::string_view key, uint32_t value);
  GgufWriter& AddInt32(std::string_view key, int32_t value);
  GgufWriter& AddUint64(std::string_view key, uint64_t value);
  GgufWriter& AddFloat(std::string_view key, float value);
  GgufWriter& AddBool(std::string_view key, bool value);
  GgufWriter& AddString(std::string_view key, std::string_view value);
  GgufWriter& AddStrings(std::string_view key, const std::vector<std::string>& values);
  GgufWriter& AddInts(std::string_view key, const std::vector<int32_t>& values);
  GgufWriter& AddFloats(std::string_view key, const std::vector<float>& values);
  // A key with any type number and any bytes after it.
  GgufWriter& AddRaw(std::string_view key, uint32_t type, std::string_view bytes);

  // `data` may have any size; tensors follow each other, each at the next aligned offset.
  GgufWriter& AddTensor(std::string_view name, GgmlType type, const std::vector<int64_t>& dims,
                        std::string data);
  // As above, with F32 values.
  GgufWriter& AddF32(std::string_view name, const std::vector<int64_t>& dims,
                     const std::vector<float>& values);
  // A description alone, with any type and offset.
  GgufWriter& AddTensorInfo(std::string_view name, uint32_t type, const std::vector<uint64_t>& dims,
                            uint64_t offset);

  std::string Bytes() const;
  void WriteTo(const std::string& path) const;  // aborts on failure

 private:
  GgufWriter& Key(std::string_view key, uint32_t type);
  uint32_t version_;
  uint64_t alignment_;
  uint64_t keys_ = 0;
  uint64_t tensors_ = 0;
  std::string metadata_;
  std::string infos_;
  std::string data_;
};

}  // namespace baton::testing
