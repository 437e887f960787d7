#pragma once

// handoff.proto to and from our types.

#include <optional>

#include "absl/status/statusor.h"
#include "absl/strings/string_view.h"
#include "baton/handoff.pb.h"
#include "common/ids.h"
#include "common/kv_layout.h"
#include "services/kv_transfer/handoff/units.h"
#include "services/kv_transfer/transport/transport.h"

namespace baton {

// A message to be sent.
struct WireSend {
  PeerId peer = 0;
  v1::Handoff message;
};

Id128 FromProto(const v1::Id128& id);
HandoffId FromProto(const v1::HandoffKey& key);
void ToProto(const Id128& id, v1::Id128* out);
void ToProto(const HandoffId& id, v1::HandoffKey* out);
void ToProto(const KvLayout& layout, v1::KvLayoutInfo* out);
void ToProto(const KvShard& part, v1::KvPart* out);
// Clamped to what the types hold. InvalidArgument: no layout at all, or one of impossible size.
absl::StatusOr<KvLayout> FromProto(const v1::KvLayoutInfo& layout);
KvShard FromProto(const v1::KvPart& part);
// An empty message of `id` from `sender`.
v1::Handoff NewMessage(const HandoffId& id, const Epoch& sender);

// Why an owner whose pool keeps `shard` in `ours` cannot serve `part` to a reader, in words; empty if it can.
std::string WhyUnfit(const KvLayout& ours, const KvShard& shard, const v1::Open& open);
// What an Open asks for.
KvShard PartOf(const v1::Open& open);

// The rectangle of an Offer or a Pull, clamped to what the types hold (CheckRect then refuses it).
UnitRect RectOf(const v1::Offer& offer);
UnitRect RectOf(const v1::Pull& pull);

// nullopt: not a Handoff message with a key, a sender and a verb.
std::optional<v1::Handoff> ParseHandoff(absl::string_view bytes);

}  // namespace baton
