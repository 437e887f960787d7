#include "services/kv_transfer/transport/lane_messages.h"

#include <cstring>

#include "absl/strings/match.h"
#include "absl/strings/str_cat.h"

namespace baton {
namespace {

constexpr absl::string_view kMagic(
    "\xff"
    "BL\x01",
    4);
constexpr char kAsk = 'A', kTold = 'T';
constexpr size_t kIdBytes = 16;

std::string Bytes(const Id128& id) {
  std::string out(kIdBytes, '\0');
  std::memcpy(out.data(), &id.hi, 8);
  std::memcpy(out.data() + 8, &id.lo, 8);
  return out;
}

Id128 TakeId(absl::string_view* in) {
  Id128 id;
  std::memcpy(&id.hi, in->data(), 8);
  std::memcpy(&id.lo, in->data() + 8, 8);
  in->remove_prefix(kIdBytes);
  return id;
}

// The rest of a message of this kind.
std::optional<absl::string_view> BodyOf(absl::string_view message, char kind) {
  if (!IsLaneMessage(message) || message.size() <= kMagic.size() || message[kMagic.size()] != kind)
    return std::nullopt;
  return message.substr(kMagic.size() + 1);
}

}  // namespace

bool IsLaneMessage(absl::string_view message) {
  return absl::StartsWith(message, kMagic);
}

std::string EncodeLaneAsk(const LaneAsk& ask) {
  return absl::StrCat(kMagic, absl::string_view(&kAsk, 1), Bytes(ask.nonce));
}

std::string EncodeLaneTold(const LaneTold& told) {
  return absl::StrCat(kMagic, absl::string_view(&kTold, 1), Bytes(told.nonce), Bytes(told.secrets.guest),
                      Bytes(told.secrets.host), told.name);
}

std::optional<LaneAsk> DecodeLaneAsk(absl::string_view message) {
  auto body = BodyOf(message, kAsk);
  if (!body.has_value() || body->size() != kIdBytes) return std::nullopt;
  return LaneAsk{TakeId(&*body)};
}

std::optional<LaneTold> DecodeLaneTold(absl::string_view message) {
  auto body = BodyOf(message, kTold);
  if (!body.has_value() || body->size() <= 3 * kIdBytes || body->size() > 3 * kIdBytes + LaneTold::kMaxName)
    return std::nullopt;
  LaneTold told;
  told.nonce = TakeId(&*body);
  told.secrets.guest = TakeId(&*body);
  told.secrets.host = TakeId(&*body);
  told.name = std::string(*body);
  return told;
}

std::string EncodeLaneGreeting(LanePacketKind kind, const Id128& secret) {
  const auto first = static_cast<char>(kind);
  return absl::StrCat(absl::string_view(&first, 1), Bytes(secret));
}

std::string EncodeLaneMessage(absl::string_view message) {
  const auto first = static_cast<char>(LanePacketKind::kMessage);
  return absl::StrCat(absl::string_view(&first, 1), message);
}

std::optional<LanePacket> DecodeLanePacket(absl::string_view packet) {
  if (packet.empty()) return std::nullopt;
  LanePacket out;
  out.kind = static_cast<LanePacketKind>(packet.front());
  packet.remove_prefix(1);
  switch (out.kind) {
    case LanePacketKind::kMessage:
      out.message = packet;
      return out;
    case LanePacketKind::kHello:
    case LanePacketKind::kWelcome:
      if (packet.size() != kIdBytes) return std::nullopt;
      out.secret = TakeId(&packet);
      return out;
  }
  return std::nullopt;
}

}  // namespace baton
