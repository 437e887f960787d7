#include "services/router/serve/event_id.h"

#include <algorithm>

#include "absl/strings/escaping.h"
#include "common/block_hash.h"

namespace baton::router {
namespace {

constexpr char kVersion = 1;

void PutFixed(uint64_t value, int bytes, std::string& out) {
  for (int i = 0; i < bytes; ++i) out.push_back(static_cast<char>(value >> (8 * i)));
}

void PutVarint(uint64_t value, std::string& out) {
  for (; value >= 0x80; value >>= 7) out.push_back(static_cast<char>(value | 0x80));
  out.push_back(static_cast<char>(value));
}

class Taker {
 public:
  explicit Taker(absl::string_view bytes) : bytes_(bytes) {}
  uint64_t Fixed(size_t bytes) {
    if (bytes_.size() < bytes) return Bad();
    uint64_t value = 0;
    for (size_t i = 0; i < bytes; ++i) value |= uint64_t{static_cast<uint8_t>(bytes_[i])} << (8 * i);
    bytes_.remove_prefix(bytes);
    return value;
  }
  // At most 35 bits.
  uint64_t Varint() {
    uint64_t value = 0;
    for (int shift = 0; shift < 35; shift += 7) {
      const uint64_t byte = Fixed(1);
      value |= (byte & 0x7f) << shift;
      if ((byte & 0x80) == 0) return value;
    }
    return Bad();
  }
  bool good() const { return good_; }
  bool done() const { return good_ && bytes_.empty(); }

 private:
  uint64_t Bad() {
    good_ = false;
    bytes_ = {};
    return 0;
  }
  absl::string_view bytes_;
  bool good_ = true;
};

}  // namespace

std::string EncodeEventId(const EventId& id) {
  std::string bytes(1, kVersion);
  PutFixed(id.root.hi, 8, bytes);
  PutFixed(id.root.lo, 8, bytes);
  PutFixed(id.claim, 4, bytes);
  bytes.push_back(id.usage_sent ? 1 : 0);
  for (const ChoiceMark& mark : id.choices) {
    PutVarint(uint64_t{mark.tokens} << 2 | static_cast<uint64_t>(mark.phase), bytes);
    for (const uint32_t holder : mark.holders) PutFixed(holder, 4, bytes);
  }
  return absl::WebSafeBase64Escape(bytes);
}

std::optional<EventId> DecodeEventId(absl::string_view text) {
  std::string bytes;
  if (text.size() > kMaxEventIdChars || !absl::WebSafeBase64Unescape(text, &bytes)) return std::nullopt;
  Taker taker(bytes);
  if (taker.Fixed(1) != kVersion) return std::nullopt;
  EventId id;
  id.root.hi = taker.Fixed(8);
  id.root.lo = taker.Fixed(8);
  id.claim = static_cast<uint32_t>(taker.Fixed(4));
  id.usage_sent = taker.Fixed(1) == 1;
  while (taker.good() && !taker.done() && id.choices.size() < kMaxResumableChoices) {
    ChoiceMark& mark = id.choices.emplace_back();
    const uint64_t code = taker.Varint();
    mark.phase = static_cast<ChoiceMark::Phase>(code & 3);
    mark.tokens = static_cast<uint32_t>(code >> 2);
    for (uint32_t& holder : mark.holders) holder = static_cast<uint32_t>(taker.Fixed(4));
  }
  if (!taker.done() || id.choices.empty() || EncodeEventId(id) != text) return std::nullopt;
  return id;
}

uint32_t HolderTag(const Epoch& epoch) {
  return std::max<uint32_t>(1, static_cast<uint32_t>(epoch.hi ^ epoch.hi >> 32 ^ epoch.lo ^ epoch.lo >> 32));
}

StreamId ChoiceStream(const Id128& root, uint32_t choice) {
  return NextBlockHash(root, {static_cast<TokenId>(choice)});
}

std::optional<uint32_t> NextClaim(uint32_t claim) {
  const uint32_t round = claim >> 16;
  if (round == 0xffff) return std::nullopt;
  return (round + 1) << 16 | static_cast<uint32_t>(RandomId128().lo & 0xffff);
}

}  // namespace baton::router
