#include "common/api_keys.h"

#include <sodium.h>

#include <algorithm>

#include "absl/strings/ascii.h"
#include "absl/strings/numbers.h"
#include "absl/strings/str_cat.h"
#include "absl/strings/str_split.h"
#include "common/guarded_file.h"
#include "common/status_macros.h"

namespace baton {
namespace {

constexpr absl::string_view kPrefix = "baton-";
constexpr size_t kIdDigits = 32, kSecretDigits = 64, kSaltBytes = 16, kMaxNameBytes = 64;
constexpr size_t kMaxFileBytes = 4u << 20, kMaxKeys = 10000;

std::string Hash(absl::string_view salt, absl::string_view secret) {
  crypto_hash_sha256_state state;
  crypto_hash_sha256_init(&state);
  for (const absl::string_view part : {salt, secret})
    crypto_hash_sha256_update(&state, reinterpret_cast<const unsigned char*>(part.data()), part.size());
  std::string hash(crypto_hash_sha256_BYTES, '\0');
  crypto_hash_sha256_final(&state, reinterpret_cast<unsigned char*>(hash.data()));
  return hash;
}

std::string ToHex(absl::string_view bytes) {
  std::string hex(bytes.size() * 2 + 1, '\0');
  sodium_bin2hex(hex.data(), hex.size(), reinterpret_cast<const unsigned char*>(bytes.data()), bytes.size());
  hex.pop_back();
  return hex;
}

bool FromHex(absl::string_view hex, size_t bytes, std::string* out) {
  out->assign(bytes, '\0');
  size_t length = 0;
  return hex.size() == bytes * 2 &&
         sodium_hex2bin(reinterpret_cast<unsigned char*>(out->data()), bytes, hex.data(), hex.size(), nullptr,
                        &length, nullptr) == 0 &&
         length == bytes;
}

bool ParseId(absl::string_view hex, Id128* id) {
  std::string bytes;
  if (!FromHex(hex, kIdDigits / 2, &bytes)) return false;
  id->hi = id->lo = 0;
  for (int i = 0; i < 8; ++i) {
    id->hi = id->hi << 8 | static_cast<unsigned char>(bytes[i]);
    id->lo = id->lo << 8 | static_cast<unsigned char>(bytes[i + 8]);
  }
  return true;
}

bool IsName(absl::string_view text) {
  return text.size() <= kMaxNameBytes && std::all_of(text.begin(), text.end(), [](unsigned char c) {
           return absl::ascii_isalnum(c) || c == '.' || c == '_' || c == '-';
         });
}

bool ReadField(absl::string_view field, ApiKey& key) {
  if (field == "admin") return key.admin = true;
  const std::pair<absl::string_view, absl::string_view> parts =
      absl::StrSplit(field, absl::MaxSplits('=', 1));
  const auto& [name, value] = parts;
  if (name == "name") return key.name = std::string(value), true;
  if (name == "tenant") return key.tenant = std::string(value), true;
  if (name == "priority") return absl::SimpleAtoi(value, &key.priority);
  if (name == "weight") return absl::SimpleAtod(value, &key.weight);
  if (name == "requests") return absl::SimpleAtoi(value, &key.requests_per_minute);
  if (name == "tokens") return absl::SimpleAtoi(value, &key.tokens_per_minute);
  return false;
}

absl::StatusOr<ApiKey> ParseLine(absl::string_view line) {
  const std::vector<absl::string_view> fields =
      absl::StrSplit(line, absl::ByAnyChar(" \t"), absl::SkipEmpty());
  ApiKey key;
  if (fields.size() < 3 || !ParseId(fields[0], &key.id) || !FromHex(fields[1], kSaltBytes, &key.salt) ||
      !FromHex(fields[2], crypto_hash_sha256_BYTES, &key.hash))
    return absl::InvalidArgumentError("ID, SALT and HASH in hexadecimal are wanted first");
  for (size_t i = 3; i < fields.size(); ++i) {
    if (!ReadField(fields[i], key))
      return absl::InvalidArgumentError(absl::StrCat("not understood: '", fields[i].substr(0, 80), "'"));
  }
  BATON_RETURN_IF_ERROR(CheckApiKey(key));
  return key;
}

}  // namespace

std::string MakeApiKey(ApiKey& key) {
  std::string secret(kSecretDigits / 2, '\0');
  key.salt.resize(kSaltBytes);
  randombytes_buf(secret.data(), secret.size());
  randombytes_buf(key.salt.data(), key.salt.size());
  key.id = RandomId128();
  const std::string text = ToHex(secret);
  key.hash = Hash(key.salt, text);
  return absl::StrCat(kPrefix, key.id.ToHex(), "-", text);
}

absl::Status CheckApiKey(const ApiKey& key) {
  if (key.name.empty() || !IsName(key.name) || !IsName(key.tenant))
    return absl::InvalidArgumentError(
        "a name is letters, digits, '.', '_' and '-', at most 64 of them; so is a tenant");
  if (key.priority < 0 || key.priority > kMaxApiPriority)
    return absl::InvalidArgumentError("a priority is from 0 to 9");
  if (!(key.weight >= 0.001 && key.weight <= 1000))
    return absl::InvalidArgumentError("a weight is from 0.001 to 1000");
  return absl::OkStatus();
}

absl::StatusOr<ApiKeys> ApiKeys::FromText(absl::string_view text) {
  ApiKeys keys;
  int number = 0;
  for (absl::string_view line : absl::StrSplit(text, '\n')) {
    ++number;
    line = absl::StripAsciiWhitespace(line.substr(0, line.find('#')));
    if (line.empty()) continue;
    absl::StatusOr<ApiKey> key = ParseLine(line);
    if (key.ok() && keys.by_id_.contains(key->id))
      key = absl::InvalidArgumentError("the ID is listed before");
    if (key.ok() && keys.keys_.size() == kMaxKeys) key = absl::InvalidArgumentError("too many keys");
    if (!key.ok())
      return absl::InvalidArgumentError(absl::StrCat("line ", number, ": ", key.status().message()));
    keys.Add(*std::move(key));
  }
  return keys;
}

std::string ApiKeys::ToText() const {
  std::string text;
  for (const ApiKey& key : keys_) {
    absl::StrAppend(&text, key.id.ToHex(), " ", ToHex(key.salt), " ", ToHex(key.hash), " name=", key.name);
    if (!key.tenant.empty()) absl::StrAppend(&text, " tenant=", key.tenant);
    if (key.priority != 0) absl::StrAppend(&text, " priority=", key.priority);
    if (key.weight != 1) absl::StrAppend(&text, " weight=", key.weight);
    if (key.requests_per_minute != 0) absl::StrAppend(&text, " requests=", key.requests_per_minute);
    if (key.tokens_per_minute != 0) absl::StrAppend(&text, " tokens=", key.tokens_per_minute);
    absl::StrAppend(&text, key.admin ? " admin\n" : "\n");
  }
  return text;
}

void ApiKeys::Add(ApiKey key) {
  by_id_.emplace(key.id, keys_.size());
  keys_.push_back(std::move(key));
}

size_t ApiKeys::Remove(absl::string_view name) {
  std::vector<ApiKey> kept;
  for (ApiKey& key : keys_) {
    if (key.name != name) kept.push_back(std::move(key));
  }
  const size_t removed = keys_.size() - kept.size();
  keys_.clear();
  by_id_.clear();
  for (ApiKey& key : kept) Add(std::move(key));
  return removed;
}

const ApiKey* ApiKeys::Find(absl::string_view text) const {
  Id128 id;
  const size_t secret_at = kPrefix.size() + kIdDigits + 1;
  if (text.size() != secret_at + kSecretDigits || text.substr(0, kPrefix.size()) != kPrefix ||
      text[secret_at - 1] != '-' || !ParseId(text.substr(kPrefix.size(), kIdDigits), &id))
    return nullptr;
  static const ApiKey kNobody{.salt = std::string(kSaltBytes, '\0'),
                              .hash = std::string(crypto_hash_sha256_BYTES, '\0')};
  const auto found = by_id_.find(id);
  const ApiKey& key = found == by_id_.end() ? kNobody : keys_[found->second];
  const std::string hash = Hash(key.salt, text.substr(secret_at));
  const bool equal = sodium_memcmp(hash.data(), key.hash.data(), hash.size()) == 0;
  return equal && found != by_id_.end() ? &key : nullptr;
}

absl::StatusOr<ApiKeys> ReadApiKeys(const std::string& path) {
  BATON_ASSIGN_OR_RETURN(const std::string text, ReadGuardedFile(path, FileGuard::kSecret, kMaxFileBytes));
  absl::StatusOr<ApiKeys> keys = ApiKeys::FromText(text);
  if (!keys.ok()) return absl::InvalidArgumentError(absl::StrCat(path, ", ", keys.status().message()));
  return keys;
}

absl::Status WriteApiKeys(const std::string& path, const ApiKeys& keys) {
  return WriteGuardedFile(path, keys.ToText(), FileGuard::kSecret, true);
}

}  // namespace baton
