#include "tests/support/gguf_writer.h"

#include <cstdlib>
#include <fstream>

namespace baton::testing {
namespace {

template <typename T>
void Put(std::string& out, T value) {
  out.append(reinterpret_cast<const char*>(&value), sizeof(value));
}

void PutString(std::string& out, std::string_view text) {
  Put<uint64_t>(out, text.size());
  out.append(text);
}

void PadTo(std::string& out, uint64_t alignment) {
  while (out.size() % alignment != 0) out.push_back('\0');
}

template <typename T>
void PutArray(std::string& out, uint32_t type, const std::vector<T>& values) {
  Put<uint32_t>(out, type);
  Put<uint64_t>(out, values.size());
  for (const T& value : values) {
    if constexpr (std::is_same_v<T, std::string>) {
      PutString(out, value);
    } else {
      Put<T>(out, value);
    }
  }
}

}  // namespace

GgufWriter& GgufWriter::Key(std::string_view key, uint32_t type) {
  ++keys_;
  PutString(metadata_, key);
  Put<uint32_t>(metadata_, type);
  return *this;
}

GgufWriter& GgufWriter::AddUint32(std::string_view key, uint32_t value) {
  Key(key, 4);
  Put(metadata_, value);
  return *this;
}

GgufWriter& GgufWriter::AddInt32(std::string_view key, int32_t value) {
  Key(key, 5);
  Put(metadata_, value);
  return *this;
}

GgufWriter& GgufWriter::AddUint64(std::string_view key, uint64_t value) {
  Key(key, 10);
  Put(metadata_, value);
  return *this;
}

GgufWriter& GgufWriter::AddFloat(std::string_view key, float value) {
  Key(key, 6);
  Put(metadata_, value);
  return *this;
}

GgufWriter& GgufWriter::AddBool(std::string_view key, bool value) {
  Key(key, 7);
  Put<uint8_t>(metadata_, value ? 1 : 0);
  return *this;
}

GgufWriter& GgufWriter::AddString(std::string_view key, std::string_view value) {
  Key(key, 8);
  PutString(metadata_, value);
  return *this;
}

GgufWriter& GgufWriter::AddStrings(std::string_view key, const std::vector<std::string>& values) {
  Key(key, 9);
  PutArray(metadata_, 8, values);
  return *this;
}

GgufWriter& GgufWriter::AddInts(std::string_view key, const std::vector<int32_t>& values) {
  Key(key, 9);
  PutArray(metadata_, 5, values);
  return *this;
}

GgufWriter& GgufWriter::AddFloats(std::string_view key, const std::vector<float>& values) {
  Key(key, 9);
  PutArray(metadata_, 6, values);
  return *this;
}

GgufWriter& GgufWriter::AddRaw(std::string_view key, uint32_t type, std::string_view bytes) {
  Key(key, type);
  metadata_.append(bytes);
  return *this;
}

GgufWriter& GgufWriter::AddTensor(std::string_view name, GgmlType type, const std::vector<int64_t>& dims,
                                  std::string data) {
  PadTo(data_, alignment_);
  AddTensorInfo(name, static_cast<uint32_t>(type), std::vector<uint64_t>(dims.begin(), dims.end()),
                data_.size());
  data_.append(data);
  return *this;
}

GgufWriter& GgufWriter::AddF32(std::string_view name, const std::vector<int64_t>& dims,
                               const std::vector<float>& values) {
  const auto* bytes = reinterpret_cast<const char*>(values.data());
  return AddTensor(name, GgmlType::kF32, dims, std::string(bytes, values.size() * sizeof(float)));
}

GgufWriter& GgufWriter::AddTensorInfo(std::string_view name, uint32_t type, const std::vector<uint64_t>& dims,
                                      uint64_t offset) {
  ++tensors_;
  PutString(infos_, name);
  Put<uint32_t>(infos_, static_cast<uint32_t>(dims.size()));
  for (const uint64_t dim : dims) Put<uint64_t>(infos_, dim);
  Put<uint32_t>(infos_, type);
  Put<uint64_t>(infos_, offset);
  return *this;
}

std::string GgufWriter::Bytes() const {
  std::string out = "GGUF";
  Put<uint32_t>(out, version_);
  Put<uint64_t>(out, tensors_);
  Put<uint64_t>(out, keys_);
  out += metadata_;
  out += infos_;
  PadTo(out, alignment_);
  return out + data_;
}

void GgufWriter::WriteTo(const std::string& path) const {
  std::ofstream out(path, std::ios::binary);
  const std::string bytes = Bytes();
  if (!out.write(bytes.data(), static_cast<std::streamsize>(bytes.size())).flush()) std::abort();
}

}  // namespace baton::testing
