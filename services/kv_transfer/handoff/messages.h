#pragma once

// handoff.proto to and from our types.

#include <optional>

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
// An empty message of `id` from `sender`.
v1::Handoff NewMessage(const HandoffId& id, const Epoch& sender);

// Why the two cannot exchange bytes, in words; empty if they can.
std::string LayoutDifference(const KvLayout& ours, const v1::KvLayoutInfo& theirs);

// The rectangle of an Offer or a Pull, clamped to what the types hold (CheckRect then refuses it).
UnitRect RectOf(const v1::Offer& offer);
UnitRect RectOf(const v1::Pull& pull);

// nullopt: not a Handoff message with a key, a sender and a verb.
std::optional<v1::Handoff> ParseHandoff(absl::string_view bytes);

}  // namespace baton
