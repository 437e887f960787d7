#include "engine/formats/gguf_value.h"

#include <limits>
#include <optional>
#include <type_traits>
#include <utility>

#include "absl/status/status.h"
#include "absl/strings/str_cat.h"
#include "common/status_macros.h"

namespace baton {
namespace {

template <typename T>
std::optional<GgufScalar> ReadNumber(ByteReader& reader) {
  T value;
  if (!reader.Read(&value)) return std::nullopt;
  if constexpr (std::is_floating_point_v<T>) {
    return GgufScalar(static_cast<double>(value));
  } else if constexpr (std::is_signed_v<T>) {
    return GgufScalar(static_cast<int64_t>(value));
  } else {
    return GgufScalar(static_cast<uint64_t>(value));
  }
}

std::optional<GgufScalar> ReadText(ByteReader& reader) {
  absl::string_view text;
  if (!reader.ReadString(&text)) return std::nullopt;
  return GgufScalar(text);
}

absl::StatusOr<GgufScalar> ReadBool(ByteReader& reader) {
  uint8_t value = 0;
  if (!reader.Read(&value)) return absl::OutOfRangeError("the file ends inside a value");
  if (value > 1) return absl::InvalidArgumentError(absl::StrCat("boolean with value ", value));
  return GgufScalar(value == 1);
}

absl::StatusOr<GgufScalar> ReadScalar(ByteReader& reader, GgufValueType type) {
  std::optional<GgufScalar> value;
  switch (type) {
    case GgufValueType::kUint8:
      value = ReadNumber<uint8_t>(reader);
      break;
    case GgufValueType::kInt8:
      value = ReadNumber<int8_t>(reader);
      break;
    case GgufValueType::kUint16:
      value = ReadNumber<uint16_t>(reader);
      break;
    case GgufValueType::kInt16:
      value = ReadNumber<int16_t>(reader);
      break;
    case GgufValueType::kUint32:
      value = ReadNumber<uint32_t>(reader);
      break;
    case GgufValueType::kInt32:
      value = ReadNumber<int32_t>(reader);
      break;
    case GgufValueType::kUint64:
      value = ReadNumber<uint64_t>(reader);
      break;
    case GgufValueType::kInt64:
      value = ReadNumber<int64_t>(reader);
      break;
    case GgufValueType::kFloat32:
      value = ReadNumber<float>(reader);
      break;
    case GgufValueType::kFloat64:
      value = ReadNumber<double>(reader);
      break;
    case GgufValueType::kString:
      value = ReadText(reader);
      break;
    case GgufValueType::kBool:
      return ReadBool(reader);
    case GgufValueType::kArray:
      return absl::InvalidArgumentError("arrays of arrays are not supported");
  }
  if (!value.has_value()) return absl::OutOfRangeError("the file ends inside a value");
  return *std::move(value);
}

size_t SmallestBytes(GgufValueType type) {
  switch (type) {
    case GgufValueType::kUint8:
    case GgufValueType::kInt8:
    case GgufValueType::kBool:
      return 1;
    case GgufValueType::kUint16:
    case GgufValueType::kInt16:
      return 2;
    case GgufValueType::kUint32:
    case GgufValueType::kInt32:
    case GgufValueType::kFloat32:
      return 4;
    default:
      return 8;
  }
}

absl::StatusOr<GgufValueType> CheckedType(uint32_t raw_type) {
  if (raw_type > static_cast<uint32_t>(GgufValueType::kFloat64)) {
    return absl::InvalidArgumentError(absl::StrCat("unknown metadata type ", raw_type));
  }
  return static_cast<GgufValueType>(raw_type);
}

absl::StatusOr<GgufValue> ReadArray(ByteReader& reader) {
  uint32_t raw_type = 0;
  uint64_t count = 0;
  if (!reader.Read(&raw_type) || !reader.Read(&count))
    return absl::OutOfRangeError("the file ends inside an array");
  BATON_ASSIGN_OR_RETURN(const GgufValueType type, CheckedType(raw_type));
  if (type == GgufValueType::kArray) return absl::InvalidArgumentError("arrays of arrays are not supported");
  if (count > reader.left() / SmallestBytes(type)) {
    return absl::OutOfRangeError(absl::StrCat("array of ", count, " elements is longer than the file"));
  }
  const ByteReader start = reader;
  for (uint64_t i = 0; i < count; ++i) {
    BATON_RETURN_IF_ERROR(ReadScalar(reader, type).status());
  }
  GgufValue value{type, true, {}, {}, count};
  ByteReader elements = start;
  if (!elements.ReadBytes(reader.position() - start.position(), &value.array)) {
    return absl::OutOfRangeError("the file ends inside an array");
  }
  return value;
}

}  // namespace

absl::string_view GgufValueTypeName(GgufValueType type) {
  constexpr absl::string_view kNames[] = {"uint8",  "int8",    "uint16", "int16",  "uint32",
                                          "int32",  "float32", "bool",   "string", "array",
                                          "uint64", "int64",   "float64"};
  return kNames[static_cast<uint32_t>(type)];
}

absl::StatusOr<GgufValue> ReadGgufValue(ByteReader& reader, uint32_t raw_type) {
  BATON_ASSIGN_OR_RETURN(const GgufValueType type, CheckedType(raw_type));
  if (type == GgufValueType::kArray) return ReadArray(reader);
  BATON_ASSIGN_OR_RETURN(GgufScalar scalar, ReadScalar(reader, type));
  return GgufValue{type, false, std::move(scalar), {}, 0};
}

std::vector<GgufScalar> ArrayElements(const GgufValue& value) {
  std::vector<GgufScalar> elements;
  elements.reserve(value.count);
  ByteReader reader(value.array);
  for (uint64_t i = 0; i < value.count; ++i) {
    auto element = ReadScalar(reader, value.type);
    if (!element.ok()) break;
    elements.push_back(*std::move(element));
  }
  return elements;
}

absl::StatusOr<int64_t> ScalarToInt(const GgufScalar& scalar) {
  if (const auto* value = std::get_if<int64_t>(&scalar)) return *value;
  if (const auto* value = std::get_if<uint64_t>(&scalar)) {
    if (*value <= static_cast<uint64_t>(std::numeric_limits<int64_t>::max()))
      return static_cast<int64_t>(*value);
    return absl::InvalidArgumentError(absl::StrCat("integer ", *value, " does not fit in 63 bits"));
  }
  return absl::InvalidArgumentError("not an integer");
}

}  // namespace baton
