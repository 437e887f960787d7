#include "common/curve_keys.h"

#include <sodium.h>

#include <utility>

#include "absl/strings/match.h"
#include "absl/strings/str_cat.h"
#include "absl/strings/str_split.h"
#include "common/guarded_file.h"
#include "common/status_macros.h"

namespace baton {
namespace {

constexpr size_t kKeyBytes = 32;
constexpr size_t kVouchedBytes = 2 * kKeyBytes + crypto_sign_BYTES;
constexpr size_t kMostName = 100;
constexpr size_t kMostKeyFile = 4096, kMostList = 1 << 20;
constexpr absl::string_view kKeyWord = "baton-secret-key";
constexpr absl::string_view kVouchContext = "baton handoff server key 1";

const unsigned char* Bytes(absl::string_view text) {
  return reinterpret_cast<const unsigned char*>(text.data());
}
unsigned char* Bytes(std::string& text) {
  return reinterpret_cast<unsigned char*>(text.data());
}
void Wipe(std::string& secret) {
  sodium_memzero(secret.data(), secret.size());
}

// The 32 bytes; empty: not 64 hexadecimal digits.
std::string FromHex(absl::string_view text) {
  std::string bytes(kKeyBytes, '\0');
  size_t length = 0;
  if (text.size() != 2 * kKeyBytes ||
      sodium_hex2bin(Bytes(bytes), kKeyBytes, text.data(), text.size(), nullptr, &length, nullptr) != 0 ||
      length != kKeyBytes) {
    return "";
  }
  return bytes;
}

std::vector<absl::string_view> Words(absl::string_view line) {
  line = line.substr(0, line.find('#'));
  return absl::StrSplit(line, absl::ByAnyChar(" \t\r"), absl::SkipEmpty());
}

std::string SignedText(absl::string_view server_key) {
  return absl::StrCat(kVouchContext, server_key);
}

}  // namespace

CurvePair::~CurvePair() {
  Wipe(secret_key);
}

CurvePair CurvePair::Generate() {
  CurvePair pair;
  pair.public_key.assign(crypto_box_PUBLICKEYBYTES, '\0');
  pair.secret_key.assign(crypto_box_SECRETKEYBYTES, '\0');
  crypto_box_keypair(Bytes(pair.public_key), Bytes(pair.secret_key));
  return pair;
}

IdentityKey::IdentityKey(const std::string& seed)
    : public_key_(crypto_sign_PUBLICKEYBYTES, '\0'), secret_key_(crypto_sign_SECRETKEYBYTES, '\0') {
  crypto_sign_seed_keypair(Bytes(public_key_), Bytes(secret_key_), Bytes(absl::string_view(seed)));
}

IdentityKey::~IdentityKey() {
  Wipe(secret_key_);
}

IdentityKey IdentityKey::Generate() {
  std::string seed(crypto_sign_SEEDBYTES, '\0');
  randombytes_buf(seed.data(), seed.size());
  IdentityKey key(seed);
  Wipe(seed);
  return key;
}

absl::StatusOr<IdentityKey> IdentityKey::FromText(absl::string_view key_file) {
  for (const absl::string_view line : absl::StrSplit(key_file, '\n')) {
    const std::vector<absl::string_view> words = Words(line);
    if (words.empty()) continue;
    std::string seed = words.size() == 2 && words[0] == kKeyWord ? FromHex(words[1]) : "";
    if (seed.empty()) break;
    IdentityKey key(seed);
    Wipe(seed);
    return key;
  }
  return absl::InvalidArgumentError(
      absl::StrCat("holds no key: a line \"", kKeyWord, " HEX\" is wanted, as ./baton keys new makes it"));
}

CurvePair IdentityKey::curve() const {
  CurvePair pair;
  pair.public_key.assign(crypto_box_PUBLICKEYBYTES, '\0');
  pair.secret_key.assign(crypto_box_SECRETKEYBYTES, '\0');
  // Fails for no key that was generated.
  if (crypto_sign_ed25519_pk_to_curve25519(Bytes(pair.public_key), Bytes(absl::string_view(public_key_))) !=
      0)
    return CurvePair();
  crypto_sign_ed25519_sk_to_curve25519(Bytes(pair.secret_key), Bytes(absl::string_view(secret_key_)));
  return pair;
}

std::string IdentityKey::ToText() const {
  std::string seed = secret_key_.substr(0, crypto_sign_SEEDBYTES);
  std::string text = absl::StrCat("# The secret key of a Baton process; nobody else may read it.\n", kKeyWord,
                                  " ", KeyText(seed), "\n");
  Wipe(seed);
  return text;
}

std::string IdentityKey::Vouch(absl::string_view server_key) const {
  const std::string text = SignedText(server_key);
  std::string signature(crypto_sign_BYTES, '\0');
  crypto_sign_detached(Bytes(signature), nullptr, Bytes(absl::string_view(text)), text.size(),
                       Bytes(absl::string_view(secret_key_)));
  return absl::StrCat(server_key, public_key_, signature);
}

std::string KeyText(absl::string_view key) {
  std::string text(key.size() * 2 + 1, '\0');
  sodium_bin2hex(text.data(), text.size(), Bytes(key), key.size());
  text.pop_back();
  return text;
}

absl::StatusOr<AllowedKey> ParseAllowedKey(absl::string_view text, absl::string_view name) {
  AllowedKey key{FromHex(text), std::string(kKeyBytes, '\0'), std::string(name.empty() ? text : name)};
  if (key.public_key.empty()) return absl::InvalidArgumentError("a public key has 64 hexadecimal digits");
  if (key.name.size() > kMostName)
    return absl::InvalidArgumentError(absl::StrCat("a name has at most ", kMostName, " characters"));
  if (crypto_sign_ed25519_pk_to_curve25519(Bytes(key.curve_key), Bytes(absl::string_view(key.public_key))) !=
      0) {
    return absl::InvalidArgumentError(absl::StrCat(text, " is no public key"));
  }
  return key;
}

absl::StatusOr<AllowedKeys> AllowedKeys::FromText(absl::string_view list) {
  AllowedKeys allowed;
  int number = 0;
  for (const absl::string_view line : absl::StrSplit(list, '\n')) {
    ++number;
    const std::vector<absl::string_view> words = Words(line);
    if (words.empty()) continue;
    const auto key = words.size() <= 2 ? ParseAllowedKey(words[0], words.size() == 2 ? words[1] : "")
                                       : absl::InvalidArgumentError("\"KEY NAME\" is wanted");
    if (!key.ok())
      return absl::InvalidArgumentError(absl::StrCat("line ", number, ": ", key.status().message()));
    if (!allowed.by_curve_.emplace(key->curve_key, allowed.keys_.size()).second)
      return absl::InvalidArgumentError(absl::StrCat("line ", number, ": the key is listed twice"));
    allowed.keys_.push_back(*key);
  }
  return allowed;
}

const AllowedKey* AllowedKeys::FindCurve(absl::string_view curve_key) const {
  const auto found = by_curve_.find(curve_key);
  return found == by_curve_.end() ? nullptr : &keys_[found->second];
}

bool AllowedKeys::HasName(absl::string_view name) const {
  for (const AllowedKey& key : keys_) {
    if (key.name == name) return true;
  }
  return false;
}

absl::StatusOr<std::string> AllowedKeys::CheckVouched(absl::string_view vouched) const {
  if (vouched.size() != kVouchedBytes)
    return absl::PermissionDeniedError("the peer's key is vouched for by no identity (--kv_key there)");
  const absl::string_view server_key = vouched.substr(0, kKeyBytes);
  const absl::string_view signer = vouched.substr(kKeyBytes, kKeyBytes);
  for (const AllowedKey& key : keys_) {
    if (key.public_key != signer) continue;
    const std::string text = SignedText(server_key);
    if (crypto_sign_verify_detached(Bytes(vouched.substr(2 * kKeyBytes)), Bytes(absl::string_view(text)),
                                    text.size(), Bytes(signer)) == 0) {
      return std::string(server_key);
    }
    return absl::PermissionDeniedError(
        absl::StrCat("the signature of the peer's key is not that of ", key.name));
  }
  return absl::PermissionDeniedError(absl::StrCat("the peer's key ", KeyText(signer), " is not listed here"));
}

absl::string_view ServerKeyOf(absl::string_view public_key) {
  return public_key.size() == kVouchedBytes ? public_key.substr(0, kKeyBytes) : public_key;
}

absl::StatusOr<IdentityKey> ReadKeyFile(const std::string& path) {
  BATON_ASSIGN_OR_RETURN(std::string text, ReadGuardedFile(path, FileGuard::kSecret, kMostKeyFile));
  auto key = IdentityKey::FromText(text);
  Wipe(text);
  if (key.ok()) return key;
  return absl::InvalidArgumentError(absl::StrCat(path, " ", key.status().message()));
}

absl::StatusOr<AllowedKeys> ReadAllowedKeys(const std::string& path) {
  BATON_ASSIGN_OR_RETURN(const std::string text, ReadGuardedFile(path, FileGuard::kTrusted, kMostList));
  auto keys = AllowedKeys::FromText(text);
  if (keys.ok()) return keys;
  return absl::InvalidArgumentError(absl::StrCat(path, ", ", keys.status().message()));
}

absl::Status WriteKeyFile(const std::string& path, const IdentityKey& key, bool replace) {
  std::string text = key.ToText();
  const absl::Status written = WriteGuardedFile(path, text, FileGuard::kSecret, replace);
  Wipe(text);
  return written;
}

absl::Status WriteAllowedKeys(const std::string& path, const std::vector<AllowedKey>& keys) {
  std::string text = "# Public keys that are let in, and whose they are (./baton keys --help).\n";
  for (const AllowedKey& key : keys) absl::StrAppend(&text, KeyText(key.public_key), " ", key.name, "\n");
  return WriteGuardedFile(path, text, FileGuard::kTrusted, true);
}

}  // namespace baton
