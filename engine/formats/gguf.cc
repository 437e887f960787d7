#include "engine/formats/gguf.h"

#include <utility>

#include "absl/container/flat_hash_map.h"
#include "absl/status/status.h"
#include "absl/strings/str_cat.h"
#include "common/status_macros.h"
#include "engine/formats/gguf_parse.h"
#include "engine/formats/mapped_file.h"

namespace baton {

struct GgufFile::Impl {
  MappedFile mapping;
  std::string memory;
  GgufHeader header;
  std::vector<GgufTensor> tensors;
  absl::flat_hash_map<absl::string_view, size_t> index;  // keys view the bytes

  absl::Status Load(absl::Span<const std::byte> bytes) {
    BATON_ASSIGN_OR_RETURN(header, ParseGguf(bytes, bytes.size()));
    for (const GgufTensorInfo& info : header.tensors) {
      index.emplace(info.name, tensors.size());
      tensors.push_back(
          {std::string(info.name), info.type, info.dims, bytes.subspan(info.file_offset, info.bytes)});
    }
    return absl::OkStatus();
  }

  absl::StatusOr<const GgufValue*> Find(absl::string_view key, bool is_array) const {
    const auto found = header.metadata.find(key);
    if (found == header.metadata.end()) return absl::NotFoundError(absl::StrCat("no metadata key ", key));
    if (found->second.is_array != is_array) {
      return absl::InvalidArgumentError(
          absl::StrCat("metadata key ", key, is_array ? " is not an array" : " is an array"));
    }
    return &found->second;
  }

  absl::Status WrongType(absl::string_view key, const GgufValue& value, absl::string_view wanted) const {
    return absl::InvalidArgumentError(absl::StrCat("metadata key ", key, " holds ",
                                                   GgufValueTypeName(value.type),
                                                   value.is_array ? " elements" : "", ", not ", wanted));
  }

  template <typename T>
  absl::StatusOr<T> Scalar(absl::string_view key, absl::string_view wanted) const {
    BATON_ASSIGN_OR_RETURN(const GgufValue* value, Find(key, false));
    if (const T* held = std::get_if<T>(&value->scalar)) return *held;
    return WrongType(key, *value, wanted);
  }

  template <typename Out, typename Held>
  absl::StatusOr<std::vector<Out>> Array(absl::string_view key, absl::string_view wanted) const {
    BATON_ASSIGN_OR_RETURN(const GgufValue* value, Find(key, true));
    std::vector<Out> out;
    out.reserve(value->count);
    for (const GgufScalar& element : ArrayElements(*value)) {
      const Held* held = std::get_if<Held>(&element);
      if (held == nullptr) return WrongType(key, *value, wanted);
      out.push_back(static_cast<Out>(*held));
    }
    return out;
  }
};

GgufFile::GgufFile(std::unique_ptr<Impl> impl) : impl_(std::move(impl)) {}
GgufFile::~GgufFile() = default;

absl::StatusOr<std::unique_ptr<GgufFile>> GgufFile::Open(const std::string& path) {
  auto impl = std::make_unique<Impl>();
  BATON_ASSIGN_OR_RETURN(impl->mapping, MappedFile::Open(path));
  const absl::Status loaded = impl->Load(impl->mapping.bytes());
  if (!loaded.ok()) return absl::Status(loaded.code(), absl::StrCat(path, ": ", loaded.message()));
  return std::unique_ptr<GgufFile>(new GgufFile(std::move(impl)));
}

absl::StatusOr<std::unique_ptr<GgufFile>> GgufFile::FromBytes(std::string bytes) {
  auto impl = std::make_unique<Impl>();
  impl->memory = std::move(bytes);
  const auto* begin = reinterpret_cast<const std::byte*>(impl->memory.data());
  BATON_RETURN_IF_ERROR(impl->Load(absl::MakeConstSpan(begin, impl->memory.size())));
  return std::unique_ptr<GgufFile>(new GgufFile(std::move(impl)));
}

absl::StatusOr<int64_t> GgufFile::GetInt(absl::string_view key) const {
  BATON_ASSIGN_OR_RETURN(const GgufValue* value, impl_->Find(key, false));
  auto number = ScalarToInt(value->scalar);
  if (!number.ok())
    return absl::InvalidArgumentError(absl::StrCat("metadata key ", key, ": ", number.status().message()));
  return number;
}

absl::StatusOr<double> GgufFile::GetFloat(absl::string_view key) const {
  return impl_->Scalar<double>(key, "a float");
}

absl::StatusOr<bool> GgufFile::GetBool(absl::string_view key) const {
  return impl_->Scalar<bool>(key, "a boolean");
}

absl::StatusOr<absl::string_view> GgufFile::GetString(absl::string_view key) const {
  return impl_->Scalar<absl::string_view>(key, "a string");
}

absl::StatusOr<std::vector<absl::string_view>> GgufFile::GetStrings(absl::string_view key) const {
  return impl_->Array<absl::string_view, absl::string_view>(key, "strings");
}

absl::StatusOr<std::vector<int64_t>> GgufFile::GetInts(absl::string_view key) const {
  BATON_ASSIGN_OR_RETURN(const GgufValue* value, impl_->Find(key, true));
  std::vector<int64_t> out;
  out.reserve(value->count);
  for (const GgufScalar& element : ArrayElements(*value)) {
    const auto number = ScalarToInt(element);
    if (!number.ok()) return impl_->WrongType(key, *value, "integers that fit in 63 bits");
    out.push_back(*number);
  }
  return out;
}

absl::StatusOr<std::vector<float>> GgufFile::GetFloats(absl::string_view key) const {
  return impl_->Array<float, double>(key, "floats");
}

bool GgufFile::Has(absl::string_view key) const {
  return impl_->header.metadata.contains(key);
}

const std::vector<GgufTensor>& GgufFile::tensors() const {
  return impl_->tensors;
}

absl::StatusOr<const GgufTensor*> GgufFile::Tensor(absl::string_view name) const {
  const auto found = impl_->index.find(name);
  if (found == impl_->index.end()) return absl::NotFoundError(absl::StrCat("no tensor ", name));
  return &impl_->tensors[found->second];
}

}  // namespace baton
