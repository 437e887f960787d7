#include "services/router/serve/api_key_store.h"

#include <spdlog/spdlog.h>

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
  store->file_.Changed();
  store->looked_ = clock.Now();
  absl::StatusOr<ApiKeys> keys = ReadApiKeys(path);
  if (!keys.ok()) return keys.status();
  store->keys_ = std::make_shared<const ApiKeys>(*std::move(keys));
  return store;
}

void ApiKeyStore::ReadAgain() {
  looked_ = clock_.Now();
  if (!file_.Changed()) return;
  absl::StatusOr<ApiKeys> keys = ReadApiKeys(file_.path());
  if (!keys.ok()) {
    spdlog::warn("API keys stay as they were: {}", std::string(keys.status().message()));
    return;
  }
  keys_ = std::make_shared<const ApiKeys>(*std::move(keys));
  spdlog::info("{} API keys are in force", keys_->keys().size());
}

std::optional<Caller> ApiKeyStore::Identify(absl::string_view authorization) {
  std::shared_ptr<const ApiKeys> keys;
  {
    absl::MutexLock lock(&mutex_);
    if (keys_ == nullptr) return Caller{.admin = true};
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
