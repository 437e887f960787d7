#pragma once

// Who may take part in handoffs: identities, as files, and the list of those that are let in.
//
// An identity is an Ed25519 key pair. Its Curve25519 form (crypto_sign_ed25519_*_to_curve25519) is the client
// key that ZeroMQ's CURVE proves when it connects. A process's CURVE server key is made anew in each of its
// lives and goes to its readers with the identity's signature, so that an identity can be replaced while the
// process runs.
//
// Key file (mode 0600):   "baton-secret-key HEX"     the 32 bytes of the Ed25519 seed
// List:                   "HEX [NAME]" a line         the 32 bytes of the Ed25519 public key
// '#' begins a comment in both. Classes are thread-compatible, functions thread-safe.

#include <string>
#include <vector>

#include "absl/container/flat_hash_map.h"
#include "absl/status/status.h"
#include "absl/status/statusor.h"
#include "absl/strings/string_view.h"

namespace baton {

// A Curve25519 pair, 32 bytes each. The secret is wiped when it goes.
struct CurvePair {
  std::string public_key, secret_key;
  static CurvePair Generate();
  CurvePair() = default;
  CurvePair(const CurvePair&) = default;
  CurvePair& operator=(const CurvePair&) = default;
  ~CurvePair();
};

class IdentityKey {
 public:
  static IdentityKey Generate();
  static absl::StatusOr<IdentityKey> FromText(absl::string_view key_file);  // InvalidArgument
  IdentityKey(const IdentityKey&) = default;
  IdentityKey& operator=(const IdentityKey&) = default;
  ~IdentityKey();

  const std::string& public_key() const { return public_key_; }  // 32 bytes, Ed25519
  CurvePair curve() const;
  std::string ToText() const;  // of the key file
  // `server_key`, the public key and its signature: what AllowedKeys::CheckVouched takes.
  std::string Vouch(absl::string_view server_key) const;

 private:
  explicit IdentityKey(const std::string& seed);
  std::string public_key_, secret_key_;
};

struct AllowedKey {
  std::string public_key;  // 32 bytes, Ed25519
  std::string curve_key;   // its Curve25519 form
  std::string name;        // who it is; several keys may be one's. Its text, if none was given
};

std::string KeyText(absl::string_view key);  // 64 hexadecimal digits
// InvalidArgument: not 64 hexadecimal digits, or no key of Ed25519.
absl::StatusOr<AllowedKey> ParseAllowedKey(absl::string_view text, absl::string_view name);

class AllowedKeys {
 public:
  // InvalidArgument names the line.
  static absl::StatusOr<AllowedKeys> FromText(absl::string_view list);

  const std::vector<AllowedKey>& keys() const { return keys_; }
  const AllowedKey* FindCurve(absl::string_view curve_key) const;  // nullptr: not listed
  bool HasName(absl::string_view name) const;
  // The server key that a listed identity vouches for. PermissionDenied: why not.
  absl::StatusOr<std::string> CheckVouched(absl::string_view vouched) const;

 private:
  std::vector<AllowedKey> keys_;
  absl::flat_hash_map<std::string, size_t> by_curve_;
};

// The server key in what a peer gave as its public key, vouched for or not.
absl::string_view ServerKeyOf(absl::string_view public_key);

// Files. NotFound; PermissionDenied: others may read the secret or change the list; InvalidArgument: garbage.
// Each names the file and what to do.
absl::StatusOr<IdentityKey> ReadKeyFile(const std::string& path);
absl::StatusOr<AllowedKeys> ReadAllowedKeys(const std::string& path);
// Of mode 0600, whole or not at all. AlreadyExists, unless it may be replaced.
absl::Status WriteKeyFile(const std::string& path, const IdentityKey& key, bool replace);
// Of mode 0644, whole or not at all.
absl::Status WriteAllowedKeys(const std::string& path, const std::vector<AllowedKey>& keys);

}  // namespace baton
