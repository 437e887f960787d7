#include "engine/formats/gguf_parse.h"

#include <algorithm>
#include <limits>
#include <optional>
#include <utility>

#include "absl/container/flat_hash_set.h"
#include "absl/status/status.h"
#include "absl/strings/escaping.h"
#include "absl/strings/str_cat.h"
#include "common/status_macros.h"
#include "engine/formats/byte_reader.h"

namespace baton {
namespace {

constexpr uint32_t kMagic = 0x46554747;  // "GGUF"
constexpr uint64_t kDefaultAlignment = 32;
constexpr uint64_t kSmallestKey = 8 + 4 + 1;
constexpr uint64_t kSmallestTensorInfo = 8 + 4 + 8 + 4 + 8;

// Names come from an untrusted file and go to terminals and logs.
std::string Quoted(absl::string_view name) {
  return absl::StrCat("'", absl::CHexEscape(name.substr(0, 80)), "'");
}

absl::Status Prefixed(absl::string_view prefix, const absl::Status& status) {
  return absl::Status(status.code(), absl::StrCat(prefix, ": ", status.message()));
}

absl::Status Ends(absl::string_view where) {
  return absl::OutOfRangeError(absl::StrCat("the file ends inside ", where));
}

struct Preamble {
  uint32_t version;
  uint64_t tensors;
  uint64_t keys;
};

absl::StatusOr<Preamble> ReadPreamble(ByteReader& reader) {
  uint32_t magic = 0;
  Preamble preamble{};
  if (!reader.Read(&magic)) return Ends("the magic number");
  if (magic != kMagic) return absl::InvalidArgumentError("not a GGUF file: wrong magic number");
  if (!reader.Read(&preamble.version)) return Ends("the version");
  if (preamble.version != 2 && preamble.version != 3) {
    const bool big_endian = preamble.version != 0 && (preamble.version & 0xFFFF) == 0;
    return absl::InvalidArgumentError(
        big_endian ? std::string("big-endian GGUF files are not supported")
                   : absl::StrCat("GGUF version ", preamble.version, " is not supported (only 2 and 3)"));
  }
  if (!reader.Read(&preamble.tensors) || !reader.Read(&preamble.keys)) return Ends("the counts");
  if (preamble.keys > std::min(kMaxGgufKeys, reader.left() / kSmallestKey)) {
    return absl::InvalidArgumentError(absl::StrCat("implausible number of metadata keys: ", preamble.keys));
  }
  if (preamble.tensors > std::min(kMaxGgufTensors, reader.left() / kSmallestTensorInfo)) {
    return absl::InvalidArgumentError(absl::StrCat("implausible number of tensors: ", preamble.tensors));
  }
  return preamble;
}

absl::Status ReadMetadata(ByteReader& reader, uint64_t count, GgufHeader& header) {
  header.metadata.reserve(count);
  for (uint64_t i = 0; i < count; ++i) {
    absl::string_view key;
    uint32_t raw_type = 0;
    if (!reader.ReadString(&key) || !reader.Read(&raw_type)) return Ends(absl::StrCat("metadata key ", i));
    if (key.empty()) return absl::InvalidArgumentError(absl::StrCat("metadata key ", i, " is empty"));
    auto value = ReadGgufValue(reader, raw_type);
    if (!value.ok()) return Prefixed(absl::StrCat("metadata key ", Quoted(key)), value.status());
    if (!header.metadata.emplace(key, *std::move(value)).second) {
      return absl::InvalidArgumentError(absl::StrCat("duplicate metadata key ", Quoted(key)));
    }
  }
  return absl::OkStatus();
}

absl::StatusOr<uint64_t> Alignment(const GgufHeader& header) {
  const auto found = header.metadata.find("general.alignment");
  if (found == header.metadata.end()) return kDefaultAlignment;
  absl::StatusOr<int64_t> value = absl::InvalidArgumentError("not an integer");
  if (!found->second.is_array) value = ScalarToInt(found->second.scalar);
  if (!value.ok()) return Prefixed("general.alignment", value.status());
  const auto alignment = static_cast<uint64_t>(*value);
  if (*value < 8 || alignment > kMaxGgufAlignment || (alignment & (alignment - 1)) != 0) {
    return absl::InvalidArgumentError(
        absl::StrCat("general.alignment ", *value, " is not a power of two from 8 to ", kMaxGgufAlignment));
  }
  return alignment;
}

std::optional<GgmlType> KnownType(uint32_t raw) {
  for (const GgmlType type :
       {GgmlType::kF32, GgmlType::kF16, GgmlType::kQ4_0, GgmlType::kQ4_1, GgmlType::kQ8_0, GgmlType::kBF16}) {
    if (static_cast<uint32_t>(type) == raw) return type;
  }
  return std::nullopt;
}

absl::StatusOr<uint64_t> TensorBytes(GgmlType type, const std::vector<int64_t>& dims) {
  const int64_t block = GgmlBlockElements(type);
  if (dims[0] % block != 0) {
    return absl::InvalidArgumentError(
        absl::StrCat("rows of ", dims[0], " elements do not divide into blocks of ", block));
  }
  uint64_t bytes = static_cast<uint64_t>(dims[0] / block);
  if (__builtin_mul_overflow(bytes, GgmlBlockBytes(type), &bytes)) {
    return absl::InvalidArgumentError("size overflows");
  }
  for (size_t i = 1; i < dims.size(); ++i) {
    if (__builtin_mul_overflow(bytes, static_cast<uint64_t>(dims[i]), &bytes)) {
      return absl::InvalidArgumentError("size overflows");
    }
  }
  return bytes;
}

absl::StatusOr<std::vector<int64_t>> ReadDims(ByteReader& reader) {
  uint32_t count = 0;
  if (!reader.Read(&count)) return Ends("its dimensions");
  if (count < 1 || count > kMaxGgufDims) {
    return absl::InvalidArgumentError(absl::StrCat(count, " dimensions (1 to ", kMaxGgufDims, " allowed)"));
  }
  std::vector<int64_t> dims(count);
  for (int64_t& dim : dims) {
    uint64_t raw = 0;
    if (!reader.Read(&raw)) return Ends("its dimensions");
    if (raw == 0 || raw > static_cast<uint64_t>(std::numeric_limits<int64_t>::max())) {
      return absl::InvalidArgumentError(absl::StrCat("dimension of ", raw));
    }
    dim = static_cast<int64_t>(raw);
  }
  return dims;
}

// The offset it fills in is still relative to the start of the data section.
absl::Status ReadTensorBody(ByteReader& reader, uint64_t alignment, GgufTensorInfo& info) {
  uint32_t raw_type = 0;
  BATON_ASSIGN_OR_RETURN(info.dims, ReadDims(reader));
  if (!reader.Read(&raw_type) || !reader.Read(&info.file_offset)) return Ends("its description");
  const std::optional<GgmlType> type = KnownType(raw_type);
  if (!type.has_value()) {
    return absl::InvalidArgumentError(
        absl::StrCat("ggml type ", raw_type, " is not supported (only F32, F16, BF16, Q4_0, Q4_1, Q8_0)"));
  }
  info.type = *type;
  BATON_ASSIGN_OR_RETURN(info.bytes, TensorBytes(info.type, info.dims));
  if (info.file_offset % alignment != 0) {
    return absl::InvalidArgumentError(
        absl::StrCat("offset ", info.file_offset, " is not aligned to ", alignment));
  }
  return absl::OkStatus();
}

absl::Status ReadTensors(ByteReader& reader, uint64_t count, uint64_t alignment, GgufHeader& header) {
  absl::flat_hash_set<absl::string_view> names;
  names.reserve(count);
  header.tensors.reserve(count);
  for (uint64_t i = 0; i < count; ++i) {
    GgufTensorInfo info{};
    if (!reader.ReadString(&info.name)) return Ends(absl::StrCat("the name of tensor ", i));
    if (info.name.empty()) return absl::InvalidArgumentError(absl::StrCat("tensor ", i, " has no name"));
    if (!names.insert(info.name).second) {
      return absl::InvalidArgumentError(absl::StrCat("duplicate tensor ", Quoted(info.name)));
    }
    const absl::Status body = ReadTensorBody(reader, alignment, info);
    if (!body.ok()) return Prefixed(absl::StrCat("tensor ", Quoted(info.name)), body);
    header.tensors.push_back(std::move(info));
  }
  return absl::OkStatus();
}

absl::Status PlaceTensors(uint64_t data_start, uint64_t file_bytes, GgufHeader& header) {
  std::vector<const GgufTensorInfo*> by_offset;
  for (GgufTensorInfo& info : header.tensors) {
    if (data_start > file_bytes || info.file_offset > file_bytes - data_start ||
        info.bytes > file_bytes - data_start - info.file_offset) {
      return absl::OutOfRangeError(absl::StrCat("tensor ", Quoted(info.name), " (", info.bytes,
                                                " bytes) lies beyond the end of the file: is it truncated?"));
    }
    info.file_offset += data_start;
    by_offset.push_back(&info);
  }
  std::sort(by_offset.begin(), by_offset.end(),
            [](const auto* a, const auto* b) { return a->file_offset < b->file_offset; });
  for (size_t i = 1; i < by_offset.size(); ++i) {
    if (by_offset[i - 1]->file_offset + by_offset[i - 1]->bytes > by_offset[i]->file_offset) {
      return absl::InvalidArgumentError(absl::StrCat("tensors ", Quoted(by_offset[i - 1]->name), " and ",
                                                     Quoted(by_offset[i]->name), " overlap"));
    }
  }
  return absl::OkStatus();
}

}  // namespace

absl::StatusOr<GgufHeader> ParseGguf(absl::Span<const std::byte> head, uint64_t file_bytes) {
  ByteReader reader(head);
  BATON_ASSIGN_OR_RETURN(const Preamble preamble, ReadPreamble(reader));
  GgufHeader header{preamble.version, {}, {}};
  BATON_RETURN_IF_ERROR(ReadMetadata(reader, preamble.keys, header));
  BATON_ASSIGN_OR_RETURN(const uint64_t alignment, Alignment(header));
  BATON_RETURN_IF_ERROR(ReadTensors(reader, preamble.tensors, alignment, header));
  const uint64_t data_start = (reader.position() + alignment - 1) / alignment * alignment;
  BATON_RETURN_IF_ERROR(PlaceTensors(data_start, file_bytes, header));
  return header;
}

}  // namespace baton
