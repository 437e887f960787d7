#pragma once

// One metadata value of a GGUF file, already checked against the file's size. Views point into the file's
// bytes.

#include <cstddef>
#include <cstdint>
#include <variant>
#include <vector>

#include "absl/status/statusor.h"
#include "absl/strings/string_view.h"
#include "absl/types/span.h"
#include "engine/formats/byte_reader.h"

namespace baton {

// Values as on disk (gguf_metadata_value_type).
enum class GgufValueType : uint32_t {
  kUint8 = 0,
  kInt8 = 1,
  kUint16 = 2,
  kInt16 = 3,
  kUint32 = 4,
  kInt32 = 5,
  kFloat32 = 6,
  kBool = 7,
  kString = 8,
  kArray = 9,
  kUint64 = 10,
  kInt64 = 11,
  kFloat64 = 12,
};

absl::string_view GgufValueTypeName(GgufValueType type);

using GgufScalar = std::variant<uint64_t, int64_t, double, bool, absl::string_view>;

struct GgufValue {
  GgufValueType type;     // of the value, or of an array's elements
  bool is_array = false;  // then `array` holds the elements; else `scalar` the value
  GgufScalar scalar;
  absl::Span<const std::byte> array;  // the elements as on disk, each already checked
  uint64_t count = 0;
};

// Reads a value of the on-disk type `raw_type`; memory does not grow with an array's length. OutOfRange if
// the bytes end first; InvalidArgument for an unknown type, a nested array or a boolean that is neither 0
// nor 1.
absl::StatusOr<GgufValue> ReadGgufValue(ByteReader& reader, uint32_t raw_type);

// The elements of an array that ReadGgufValue accepted.
std::vector<GgufScalar> ArrayElements(const GgufValue& value);

// InvalidArgument if the scalar is not an integer or does not fit; no float converts.
absl::StatusOr<int64_t> ScalarToInt(const GgufScalar& scalar);

}  // namespace baton
