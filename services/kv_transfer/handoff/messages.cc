#include "services/kv_transfer/handoff/messages.h"

#include <algorithm>
#include <limits>

#include "absl/strings/str_format.h"

namespace baton {
namespace {

int64_t ClampToken(uint64_t token) {
  return static_cast<int64_t>(std::min<uint64_t>(token, std::numeric_limits<int32_t>::max()));
}

int32_t ClampLayer(uint32_t layer) {
  return static_cast<int32_t>(std::min<uint32_t>(layer, std::numeric_limits<int32_t>::max()));
}

}  // namespace

Id128 FromProto(const v1::Id128& id) {
  return {id.hi(), id.lo()};
}

HandoffId FromProto(const v1::HandoffKey& key) {
  return {FromProto(key.stream()), {key.attempt().claim(), key.attempt().n()}, key.leg()};
}

void ToProto(const Id128& id, v1::Id128* out) {
  out->set_hi(id.hi);
  out->set_lo(id.lo);
}

void ToProto(const HandoffId& id, v1::HandoffKey* out) {
  ToProto(id.stream, out->mutable_stream());
  out->mutable_attempt()->set_claim(id.attempt.claim);
  out->mutable_attempt()->set_n(id.attempt.n);
  out->set_leg(id.leg);
}

void ToProto(const KvLayout& layout, v1::KvLayoutInfo* out) {
  out->set_layers(layout.layers);
  out->set_kv_heads(layout.kv_heads);
  out->set_head_dim(layout.head_dim);
  out->set_dtype(static_cast<uint32_t>(layout.dtype));
  out->set_atoms_per_page(layout.atoms_per_page);
}

void ToProto(const KvShard& part, v1::KvPart* out) {
  out->set_first_layer(part.first_layer);
  out->set_end_layer(part.end_layer);
  out->set_first_head(part.first_head);
  out->set_end_head(part.end_head);
}

v1::Handoff NewMessage(const HandoffId& id, const Epoch& sender) {
  v1::Handoff message;
  ToProto(id, message.mutable_key());
  ToProto(sender, message.mutable_sender_epoch());
  return message;
}

absl::StatusOr<KvLayout> FromProto(const v1::KvLayoutInfo& layout) {
  constexpr uint32_t kMost = 1 << 16;
  for (const uint32_t value :
       {layout.layers(), layout.kv_heads(), layout.head_dim(), layout.atoms_per_page()}) {
    if (value == 0 || value > kMost) return absl::InvalidArgumentError("an impossible KV layout");
  }
  if (layout.dtype() > static_cast<uint32_t>(KvDtype::kBF16))
    return absl::InvalidArgumentError("an unknown KV dtype");
  return KvLayout{static_cast<int32_t>(layout.layers()), static_cast<int32_t>(layout.kv_heads()),
                  static_cast<int32_t>(layout.head_dim()), static_cast<KvDtype>(layout.dtype()),
                  static_cast<int32_t>(layout.atoms_per_page())};
}

KvShard FromProto(const v1::KvPart& part) {
  return {ClampLayer(part.first_layer()), ClampLayer(part.end_layer()), ClampLayer(part.first_head()),
          ClampLayer(part.end_head())};
}

KvShard PartOf(const v1::Open& open) {
  if (open.has_part()) return FromProto(open.part());
  return {0, ClampLayer(open.layout().layers()), 0, ClampLayer(open.layout().kv_heads())};
}

std::string WhyUnfit(const KvLayout& ours, const KvShard& shard, const v1::Open& open) {
  const absl::StatusOr<KvLayout> theirs = FromProto(open.layout());
  if (!theirs.ok()) return std::string(theirs.status().message());
  const auto differ = [](const char* what, int owner, int reader) {
    return absl::StrFormat("KV layouts differ: %s is %d at the owner, %d at the reader", what, owner, reader);
  };
  if (ours.head_dim != theirs->head_dim) return differ("head dimension", ours.head_dim, theirs->head_dim);
  if (ours.dtype != theirs->dtype && !open.inexact()) {
    return differ("KV dtype", static_cast<int>(ours.dtype), static_cast<int>(theirs->dtype));
  }
  const KvShard part = PartOf(open);
  if (part.empty() || Intersect(part, shard) != part) {
    return absl::StrFormat(
        "KV layouts differ: the owner keeps layers [%d, %d) of KV heads [%d, %d), the reader wants layers "
        "[%d, %d) of KV heads [%d, %d)",
        shard.first_layer, shard.end_layer, shard.first_head, shard.end_head, part.first_layer,
        part.end_layer, part.first_head, part.end_head);
  }
  return "";
}

UnitRect RectOf(const v1::Offer& offer) {
  return {ClampToken(offer.begin_token()), ClampToken(offer.end_token()), ClampLayer(offer.first_layer()),
          ClampLayer(offer.end_layer())};
}

UnitRect RectOf(const v1::Pull& pull) {
  return {ClampToken(pull.begin_token()), ClampToken(pull.end_token()), ClampLayer(pull.first_layer()),
          ClampLayer(pull.end_layer())};
}

std::optional<v1::Handoff> ParseHandoff(absl::string_view bytes) {
  v1::Handoff message;
  if (bytes.size() > static_cast<size_t>(std::numeric_limits<int>::max())) return std::nullopt;
  if (!message.ParseFromArray(bytes.data(), static_cast<int>(bytes.size()))) return std::nullopt;
  message.DiscardUnknownFields();  // or a peer could have us keep whatever it sends
  if (!message.has_key() || !message.has_sender_epoch() || message.verb_case() == v1::Handoff::VERB_NOT_SET) {
    return std::nullopt;
  }
  return message;
}

}  // namespace baton
