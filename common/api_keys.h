#pragma once

// Keys by which clients of the HTTP API are known, and the file that lists them.
//
// Key, as a client sends it: "baton-ID-SECRET": 32 hexadecimal digits that name its line, and 64 of a random
// secret. The file has only a salted SHA-256 of the secret; 256 random bits need no slower hash.
//
// File (mode 0600), a key a line, '#' begins a comment:
//   ID SALT HASH name=NAME [tenant=TENANT] [priority=0..9] [weight=W] [requests=N] [tokens=N] [admin]
//
// Classes are thread-compatible, functions thread-safe. No error and no log has a secret in it.

#include <cstdint>
#include <string>
#include <vector>

#include "absl/container/flat_hash_map.h"
#include "absl/status/statusor.h"
#include "absl/strings/string_view.h"
#include "common/ids.h"

namespace baton {

inline constexpr int kMaxApiPriority = 9;

struct ApiKey {
  Id128 id;
  std::string salt, hash;  // 16 and 32 bytes; the hash is SHA-256(salt, secret)
  std::string name;        // of whoever has it: letters, digits, '.', '_' and '-', at most 64
  std::string tenant;      // with whom it shares cached prefixes; as the name, but may be empty: only itself
  int priority = 0;        // higher is served first
  double weight = 1;       // share among keys of its priority, from 0.001 to 1000
  uint64_t requests_per_minute = 0, tokens_per_minute = 0;  // 0: without limit
  bool admin = false;                                       // may see and move others' streams

  // What its cached prefixes are salted with.
  const std::string& cache_tenant() const { return tenant.empty() ? name : tenant; }
};

// Fills in id, salt and hash, and returns the key's text: the only time that it is known.
std::string MakeApiKey(ApiKey& key);

class ApiKeys {
 public:
  // InvalidArgument names the line.
  static absl::StatusOr<ApiKeys> FromText(absl::string_view text);
  std::string ToText() const;

  const std::vector<ApiKey>& keys() const { return keys_; }
  void Add(ApiKey key);
  // Of this name; how many there were.
  size_t Remove(absl::string_view name);
  // nullptr: no such key. Compares in constant time, and takes as long for an unknown ID.
  const ApiKey* Find(absl::string_view text) const;

 private:
  std::vector<ApiKey> keys_;
  absl::flat_hash_map<Id128, size_t> by_id_;
};

// InvalidArgument: what is wrong with a name, tenant, priority or weight.
absl::Status CheckApiKey(const ApiKey& key);

// Files: errors name the file and what to do (common/guarded_file.h).
absl::StatusOr<ApiKeys> ReadApiKeys(const std::string& path);
absl::Status WriteApiKeys(const std::string& path, const ApiKeys& keys);

}  // namespace baton
