#include "services/kv_transfer/transport/wire_key.h"

#include <cstring>
#include <type_traits>

#include "common/checksum.h"

namespace baton {
namespace {

constexpr uint32_t kMagic = 0x3257424b;  // "KBW2"

uint64_t ChecksumOf(absl::string_view text) {
  return Checksum64({reinterpret_cast<const std::byte*>(text.data()), text.size()});
}

class Writer {
 public:
  template <typename T>
  void Put(const T& value) {
    static_assert(std::is_trivially_copyable_v<T>);
    out_.append(reinterpret_cast<const char*>(&value), sizeof value);
  }
  void PutText(const std::string& text) {
    Put(static_cast<uint16_t>(text.size()));
    out_.append(text);
  }
  std::string TakeWithChecksum() {
    Put(ChecksumOf(out_));
    return std::move(out_);
  }

 private:
  std::string out_;
};

class Reader {
 public:
  explicit Reader(const std::string& in) : in_(in) {}
  template <typename T>
  bool Get(T* value) {
    static_assert(std::is_trivially_copyable_v<T>);
    if (in_.size() - at_ < sizeof *value) return false;
    std::memcpy(value, in_.data() + at_, sizeof *value);
    at_ += sizeof *value;
    return true;
  }
  bool GetText(std::string* text) {
    uint16_t size = 0;
    if (!Get(&size) || in_.size() - at_ < size) return false;
    text->assign(in_, at_, size);
    at_ += size;
    return true;
  }
  bool AtEnd() const { return at_ == in_.size(); }

 private:
  const std::string& in_;
  size_t at_ = 0;
};

// One list of fields for both directions.
template <typename Shared, typename Field>
bool SharedFields(Shared& s, Field field) {
  return field(s.memory.host[0]) && field(s.memory.host[1]) && field(s.memory.process) &&
         field(s.memory.file) && field(s.memory.inode) && field(s.memory.bytes) && field(s.offset);
}

}  // namespace

std::string EncodeWireKey(const WireKey& key) {
  Writer out;
  const auto put = [&](const auto& value) {
    out.Put(value);
    return true;
  };
  out.Put(kMagic);
  put(key.process.hi);
  put(key.process.lo);
  put(key.bytes);
  put(static_cast<uint8_t>(key.shared.has_value() + 2 * key.stream.has_value() + 4 * key.ucx.has_value()));
  if (key.shared.has_value()) SharedFields(*key.shared, put);
  if (key.stream.has_value()) {
    out.PutText(key.stream->address);
    put(key.stream->token.hi);
    put(key.stream->token.lo);
  }
  if (key.ucx.has_value()) {
    out.PutText(key.ucx->worker);
    out.PutText(key.ucx->rkey);
    put(key.ucx->address);
    put(key.ucx->token);
  }
  return out.TakeWithChecksum();
}

absl::StatusOr<WireKey> DecodeWireKey(const std::string& text) {
  Reader in(text);
  const auto get = [&](auto& value) { return in.Get(&value); };
  WireKey key;
  uint32_t magic = 0;
  uint8_t parts = 0;
  bool good = get(magic) && magic == kMagic && get(key.process.hi) && get(key.process.lo) && get(key.bytes) &&
              get(parts) && parts < 8;
  if (good && (parts & 1) != 0) good = SharedFields(*(key.shared = WireKey::Shared()), get);
  if (good && (parts & 2) != 0) {
    WireKey::Stream& stream = *(key.stream = WireKey::Stream());
    good = in.GetText(&stream.address) && get(stream.token.hi) && get(stream.token.lo);
  }
  if (good && (parts & 4) != 0) {
    WireKey::Ucx& ucx = *(key.ucx = WireKey::Ucx());
    good = in.GetText(&ucx.worker) && in.GetText(&ucx.rkey) && get(ucx.address) && get(ucx.token) &&
           !ucx.worker.empty() && ucx.worker.size() <= WireKey::Ucx::kMaxWorker &&
           ucx.rkey.size() <= WireKey::Ucx::kMaxRkey;
  }
  uint64_t checksum = 0;
  good = good && get(checksum) && in.AtEnd() &&
         checksum == ChecksumOf(absl::string_view(text).substr(0, text.size() - sizeof checksum));
  if (!good) return absl::InvalidArgumentError("the peer's key is not one of ours");
  return key;
}

}  // namespace baton
