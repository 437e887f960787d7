#include "common/block_hash.h"

#include <sodium.h>

#include <cstring>

namespace baton {
namespace {

Id128 Blake2b(const void* data, size_t size, const void* key, size_t key_size) {
  Id128 out;
  crypto_generichash(reinterpret_cast<unsigned char*>(&out), sizeof(out),
                     static_cast<const unsigned char*>(data), size, static_cast<const unsigned char*>(key),
                     key_size);
  return out;
}

}  // namespace

Id128 CacheSalt(absl::string_view tenant) {
  static constexpr char kWhat[] = "baton cache salt";
  return tenant.empty() ? Id128() : Blake2b(tenant.data(), tenant.size(), kWhat, sizeof(kWhat) - 1);
}

BlockHash RootBlockHash(absl::string_view fingerprint, const Id128& salt) {
  return Blake2b(fingerprint.data(), fingerprint.size(), &salt, sizeof(salt));
}

BlockHash NextBlockHash(const BlockHash& parent, absl::Span<const TokenId> tokens) {
  return Blake2b(tokens.data(), tokens.size() * sizeof(TokenId), &parent, sizeof(parent));
}

std::vector<BlockHash> BlockHashes(const BlockHash& root, absl::Span<const TokenId> tokens,
                                   int block_tokens) {
  std::vector<BlockHash> hashes;
  hashes.reserve(tokens.size() / block_tokens);
  BlockHash parent = root;
  for (size_t begin = 0; begin + block_tokens <= tokens.size(); begin += block_tokens) {
    parent = NextBlockHash(parent, tokens.subspan(begin, block_tokens));
    hashes.push_back(parent);
  }
  return hashes;
}

Id128 TokenDigest(absl::Span<const TokenId> tokens) {
  return Blake2b(tokens.data(), tokens.size() * sizeof(TokenId), nullptr, 0);
}

std::vector<Id128> PrefixDigests(absl::Span<const TokenId> tokens, int block_tokens) {
  std::vector<Id128> digests;
  digests.reserve(tokens.size() / block_tokens);
  crypto_generichash_state state;
  crypto_generichash_init(&state, nullptr, 0, sizeof(Id128));
  for (size_t begin = 0; begin + block_tokens <= tokens.size(); begin += block_tokens) {
    crypto_generichash_update(&state, reinterpret_cast<const unsigned char*>(tokens.data() + begin),
                              block_tokens * sizeof(TokenId));
    crypto_generichash_state so_far = state;
    Id128& digest = digests.emplace_back();
    crypto_generichash_final(&so_far, reinterpret_cast<unsigned char*>(&digest), sizeof(digest));
  }
  return digests;
}

}  // namespace baton
