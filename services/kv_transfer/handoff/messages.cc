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
  return {FromProto(key.stream()), {key.attempt().claim(), key.attempt().n()}};
}

void ToProto(const Id128& id, v1::Id128* out) {
  out->set_hi(id.hi);
  out->set_lo(id.lo);
}

void ToProto(const HandoffId& id, v1::HandoffKey* out) {
  ToProto(id.stream, out->mutable_stream());
  out->mutable_attempt()->set_claim(id.attempt.claim);
  out->mutable_attempt()->set_n(id.attempt.n);
}

void ToProto(const KvLayout& layout, v1::KvLayoutInfo* out) {
  out->set_layers(layout.layers);
  out->set_kv_heads(layout.kv_heads);
  out->set_head_dim(layout.head_dim);
  out->set_dtype(static_cast<uint32_t>(layout.dtype));
  out->set_atoms_per_page(layout.atoms_per_page);
}

v1::Handoff NewMessage(const HandoffId& id, const Epoch& sender) {
  v1::Handoff message;
  ToProto(id, message.mutable_key());
  ToProto(sender, message.mutable_sender_epoch());
  return message;
}

std::string LayoutDifference(const KvLayout& ours, const v1::KvLayoutInfo& theirs) {
  v1::KvLayoutInfo mine;
  ToProto(ours, &mine);
  const struct {
    const char* name;
    uint32_t ours, theirs;
  } fields[] = {{"layers", mine.layers(), theirs.layers()},
                {"KV heads", mine.kv_heads(), theirs.kv_heads()},
                {"head dimension", mine.head_dim(), theirs.head_dim()},
                {"KV dtype", mine.dtype(), theirs.dtype()},
                {"atoms per page", mine.atoms_per_page(), theirs.atoms_per_page()}};
  for (const auto& field : fields) {
    if (field.ours != field.theirs) {
      return absl::StrFormat("KV layouts differ: %s is %d at the owner, %d at the reader", field.name,
                             field.ours, field.theirs);
    }
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
