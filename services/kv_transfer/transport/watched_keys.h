#pragma once

// This process's identity and the list of those that it deals with, as their files say: looked at again once
// a second, so that keys change while the process runs. A file that cannot be read, or holds garbage, changes
// nothing and is complained about once a minute. One thread.

#include <string>

#include "absl/status/statusor.h"
#include "common/clock.h"
#include "common/curve_keys.h"

namespace baton {

class WatchedKeys {
 public:
  // Both must be readable now: see ReadKeyFile, ReadAllowedKeys.
  static absl::StatusOr<WatchedKeys> Open(const std::string& key_file, const std::string& allowed_file,
                                          MonoTime now);

  struct Change {
    bool own = false, allowed = false;
  };
  Change Look(MonoTime now);
  MonoTime next_look() const { return next_look_; }

  const IdentityKey& own() const { return own_; }
  const AllowedKeys& allowed() const { return allowed_; }

 private:
  WatchedKeys(std::string key_file, std::string allowed_file, IdentityKey own, AllowedKeys allowed)
      : key_file_(std::move(key_file)),
        allowed_file_(std::move(allowed_file)),
        own_(std::move(own)),
        allowed_(std::move(allowed)) {}
  void Complain(const absl::Status& status, MonoTime now);
  void WarnIfNotListed() const;

  std::string key_file_, allowed_file_;
  IdentityKey own_;
  AllowedKeys allowed_;
  MonoTime next_look_;
  MonoTime next_complaint_ = absl::InfinitePast();
};

}  // namespace baton
