#include "services/kv_transfer/transport/zmq_gate.h"

#include "absl/strings/escaping.h"
#include "absl/strings/str_cat.h"
#include "common/status_macros.h"

namespace baton {
namespace {

constexpr int kAnswersAtOnce = 64;

absl::string_view KeyIn(absl::string_view user) {
  return user.substr(0, user.find(' '));
}

}  // namespace

ZmqGate::ZmqGate(const ZmqOptions& options) {
  life_.public_key = options.curve_public_key;
  life_.secret_key = options.curve_secret_key;
}

absl::StatusOr<std::unique_ptr<ZmqGate>> ZmqGate::Open(void* context, const ZmqOptions& options,
                                                       MonoTime now) {
  if (options.curve_public_key.empty() != options.curve_secret_key.empty())
    return absl::InvalidArgumentError("CURVE needs both a public and a secret key, or neither");
  if (options.key_file.empty() != options.allowed_keys_file.empty())
    return absl::InvalidArgumentError("a key file needs a list of allowed keys, and the list a key file");
  if (!options.key_file.empty() && options.curve_secret_key.empty())
    return absl::InvalidArgumentError("a key file needs CURVE");
  std::unique_ptr<ZmqGate> gate(new ZmqGate(options));
  if (!options.key_file.empty()) {
    BATON_ASSIGN_OR_RETURN(gate->keys_, WatchedKeys::Open(options.key_file, options.allowed_keys_file, now));
    BATON_ASSIGN_OR_RETURN(gate->zap_, ZapHandler::Bind(context));
  }
  gate->Publish();
  return gate;
}

void ZmqGate::Publish() {
  published_.push_back(guarded() ? keys_->own().Vouch(life_.public_key) : life_.public_key);
  public_key_ = &published_.back();
}

CurvePair ZmqGate::Ours() const {
  return guarded() ? keys_->own().curve() : life_;
}

absl::StatusOr<std::string> ZmqGate::ServerKey(const std::string& public_key) const {
  if (guarded()) return keys_->allowed().CheckVouched(public_key);
  return std::string(ServerKeyOf(public_key));
}

std::string ZmqGate::NameIn(absl::string_view user) {
  const size_t space = user.find(' ');
  return space == absl::string_view::npos ? "" : std::string(user.substr(space + 1));
}

bool ZmqGate::Listed(const std::string& user) const {
  if (!guarded()) return true;
  const AllowedKey* key = keys_->allowed().FindCurve(absl::HexStringToBytes(KeyIn(user)));
  return key != nullptr && key->name == NameIn(user);
}

WatchedKeys::Change ZmqGate::Look(MonoTime now) {
  if (!guarded()) return {};
  const WatchedKeys::Change change = keys_->Look(now);
  if (change.own) Publish();
  return change;
}

bool ZmqGate::Serve(WireHandler* handler) {
  if (!zap_.has_value()) return true;
  return zap_->Serve(kAnswersAtOnce, [&](absl::string_view key) -> std::string {
    const AllowedKey* listed = keys_->allowed().FindCurve(key);
    if (listed != nullptr) return absl::StrCat(KeyText(key), " ", listed->name);
    handler->OnDenied(absl::StrCat("the wire key ", KeyText(key), " is not listed"));
    return "";
  });
}

}  // namespace baton
