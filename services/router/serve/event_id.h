#pragma once

// The id of a server-sent event (docs/streams.md): whose stream it is, which workers keep its record, and how
// far the client has it when it has this event. Opaque to clients; unguessable by its 128 random bits, from
// which the streams' own ids follow one way. Holds nothing of the prompt or the answer. Pure, thread-safe.

#include <array>
#include <cstdint>
#include <optional>
#include <string>
#include <vector>

#include "absl/strings/string_view.h"
#include "common/ids.h"

namespace baton::router {

inline constexpr size_t kMaxResumableChoices = 16;  // answers of more carry no ids
inline constexpr size_t kMaxEventIdChars = 512;

// How far a client has one choice's answer.
struct ChoiceMark {
  // kOpened: a chat's role; kFlushed: text held back to the end; kFinished: the finish reason.
  enum class Phase : uint8_t { kNothing, kOpened, kFlushed, kFinished };
  Phase phase = Phase::kNothing;
  uint32_t tokens = 0;                   // whose text is out, as far as it was certain
  std::array<uint32_t, 2> holders = {};  // HolderTag of workers that keep the record; 0: none
  bool operator==(const ChoiceMark&) const = default;
};

struct EventId {
  Id128 root;
  uint32_t claim = 1;
  bool usage_sent = false;
  std::vector<ChoiceMark> choices;
  bool operator==(const EventId&) const = default;
};

std::string EncodeEventId(const EventId& id);
// nullopt unless it is what EncodeEventId makes of some id with 1 to kMaxResumableChoices choices.
std::optional<EventId> DecodeEventId(absl::string_view text);

// A worker's life, in short: never 0.
uint32_t HolderTag(const Epoch& epoch);
StreamId ChoiceStream(const Id128& root, uint32_t choice);
// Higher than `claim`, and another one for each who asks. nullopt: the stream was resumed 65535 times.
std::optional<uint32_t> NextClaim(uint32_t claim);

}  // namespace baton::router
