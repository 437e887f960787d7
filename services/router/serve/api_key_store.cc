#include "services/router/serve/api_key_store.h"

#include <spdlog/spdlog.h>
#include <sys/stat.h>

#include <utility>

#include "absl/strings/ascii.h"
#include "absl/strings/match.h"

namespace baton::router {
namespace {
constexpr absl::Duration kLookEvery = absl::Seconds(1);
constexpr absl::string_view kScheme = "bearer ";
}  // namespace

absl::StatusOr<std::unique_ptr<ApiKeyStore>> ApiKeyStore::Open(const std::string& path, const Clock& clock) {
  auto store = std::unique_ptr<ApiKeyStore>(new ApiKeyStore(path, clock));
  if (path.empty()) return store;
  absl::MutexLock lock(&store->mutex_);
  store->state_ = Look(path);
  store->looked_ = clock.Now();
  absl::StatusOr<ApiKeys> keys = ReadApiKeys(path);
  if (!keys.ok()) return keys.status();
  store->keys_ = std::make_shared<const ApiKeys>(*std::move(keys));
  return store;
}

ApiKeyStore::FileState ApiKeyStore::Look(const std::string& path) {
  struct stat info {};
  if (stat(path.c_str(), &info) != 0) return {};
  return {.changed_ns = info.st_mtim.tv_sec * 1000000000 + info.st_mtim.tv_nsec,
          .inode = info.st_ino,
          .size = static_cast<uint64_t>(info.st_size)};
}

void ApiKeyStore::ReadAgain() {
  looked_ = clock_.Now();
  const FileState state = Look(path_);
  if (state == state_) return;
  state_ = state;
  absl::StatusOr<ApiKeys> keys = ReadApiKeys(path_);
  if (!keys.ok()) {
    spdlog::warn("API keys stay as they were: {}", std::string(keys.status().message()));
    return;
  }
  keys_ = std::make_shared<const ApiKeys>(*std::move(keys));
  spdlog::info("{} API keys are in force", keys_->keys().size());
}

std::optional<Caller> ApiKeyStore::Identify(absl::string_view authorization) {
  if (open_to_all()) return Caller{.admin = true};
  std::shared_ptr<const ApiKeys> keys;
  {
    absl::MutexLock lock(&mutex_);
    if (clock_.Now() - looked_ >= kLookEvery) ReadAgain();
    keys = keys_;
  }
  if (!absl::StartsWithIgnoreCase(authorization, kScheme)) return std::nullopt;
  const ApiKey* key = keys->Find(absl::StripAsciiWhitespace(authorization.substr(kScheme.size())));
  if (key == nullptr) return std::nullopt;
  return Caller{.id = key->id,
                .tenant = key->cache_tenant(),
                .priority = key->priority,
                .flow = {.id = key->id.lo, .weight = key->weight},
                .limits = {key->requests_per_minute, key->tokens_per_minute},
                .admin = key->admin};
}

}  // namespace baton::router
