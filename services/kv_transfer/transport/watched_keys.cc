#include "services/kv_transfer/transport/watched_keys.h"

#include <spdlog/spdlog.h>

#include <algorithm>
#include <utility>

#include "common/status_macros.h"

namespace baton {
namespace {

constexpr absl::Duration kLookEvery = absl::Seconds(1);
constexpr absl::Duration kComplainEvery = absl::Minutes(1);

bool Same(const AllowedKeys& a, const AllowedKeys& b) {
  return std::equal(a.keys().begin(), a.keys().end(), b.keys().begin(), b.keys().end(),
                    [](const AllowedKey& x, const AllowedKey& y) {
                      return x.public_key == y.public_key && x.name == y.name;
                    });
}

}  // namespace

absl::StatusOr<WatchedKeys> WatchedKeys::Open(const std::string& key_file, const std::string& allowed_file,
                                              MonoTime now) {
  BATON_ASSIGN_OR_RETURN(IdentityKey own, ReadKeyFile(key_file));
  BATON_ASSIGN_OR_RETURN(AllowedKeys allowed, ReadAllowedKeys(allowed_file));
  WatchedKeys keys(key_file, allowed_file, std::move(own), std::move(allowed));
  keys.next_look_ = now + kLookEvery;
  spdlog::info("handoff: this process's key is {}; {} keys are listed in {}", KeyText(keys.own_.public_key()),
               keys.allowed_.keys().size(), allowed_file);
  keys.WarnIfNotListed();
  return keys;
}

WatchedKeys::Change WatchedKeys::Look(MonoTime now) {
  Change change;
  if (now < next_look_) return change;
  next_look_ = now + kLookEvery;
  auto allowed = ReadAllowedKeys(allowed_file_);
  if (!allowed.ok()) {
    Complain(allowed.status(), now);
  } else if (!Same(*allowed, allowed_)) {
    allowed_ = *std::move(allowed);
    change.allowed = true;
    spdlog::info("handoff: {} keys are listed now", allowed_.keys().size());
  }
  auto own = ReadKeyFile(key_file_);
  if (!own.ok()) {
    Complain(own.status(), now);
  } else if (own->public_key() != own_.public_key()) {
    own_ = *std::move(own);
    change.own = true;
    spdlog::info("handoff: this process's key is {} now", KeyText(own_.public_key()));
  }
  if (change.own || change.allowed) WarnIfNotListed();
  return change;
}

void WatchedKeys::Complain(const absl::Status& status, MonoTime now) {
  if (now < next_complaint_) return;
  next_complaint_ = now + kComplainEvery;
  spdlog::error("handoff: {}; the keys read before stay in force", std::string(status.message()));
}

void WatchedKeys::WarnIfNotListed() const {
  if (allowed_.FindCurve(own_.curve().public_key) == nullptr)
    spdlog::warn("handoff: this process's own key is not in {}", allowed_file_);
}

}  // namespace baton
