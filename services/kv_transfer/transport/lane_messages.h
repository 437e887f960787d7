#pragma once

// What Lanes says: over the proven way to agree on a lane, and as packets over it. Fixed sizes; anything else
// is refused. None can be taken for a handoff message: the first byte is no protobuf tag.

#include <optional>
#include <string>

#include "absl/strings/string_view.h"
#include "common/ids.h"

namespace baton {

struct LaneSecrets {
  Id128 guest;  // said by the one who connects
  Id128 host;   // answered by the one who listens
  bool operator==(const LaneSecrets&) const = default;
};

struct LaneAsk {
  Id128 nonce;
};
struct LaneTold {
  Id128 nonce;  // of the Ask
  LaneSecrets secrets;
  std::string name;  // of the listener, of at most kMaxName bytes
  static constexpr size_t kMaxName = 64;
};

bool IsLaneMessage(absl::string_view message);
std::string EncodeLaneAsk(const LaneAsk& ask);
std::string EncodeLaneTold(const LaneTold& told);
std::optional<LaneAsk> DecodeLaneAsk(absl::string_view message);
std::optional<LaneTold> DecodeLaneTold(absl::string_view message);

enum class LanePacketKind : char { kHello = 'H', kWelcome = 'W', kMessage = 'M' };
struct LanePacket {
  LanePacketKind kind = LanePacketKind::kMessage;
  absl::string_view message;  // of a kMessage
  Id128 secret;               // of the others
};

std::string EncodeLaneGreeting(LanePacketKind kind, const Id128& secret);
std::string EncodeLaneMessage(absl::string_view message);
std::optional<LanePacket> DecodeLanePacket(absl::string_view packet);

}  // namespace baton
