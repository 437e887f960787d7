#pragma once

// The API keys in force: the file, looked at again when a request comes and a second has passed. Thread-safe.
// A file that cannot be read any more leaves the last good keys in force and is warned of once.

#include <memory>
#include <optional>
#include <string>

#include "absl/base/thread_annotations.h"
#include "absl/status/statusor.h"
#include "absl/strings/string_view.h"
#include "absl/synchronization/mutex.h"
#include "common/api_keys.h"
#include "common/clock.h"
#include "common/file_change.h"
#include "services/router/serve/caller.h"

namespace baton::router {

class ApiKeyStore {
 public:
  // Empty path: no keys, everybody is let in as nobody, and is admin. Errors as of ReadApiKeys.
  static absl::StatusOr<std::unique_ptr<ApiKeyStore>> Open(const std::string& path, const Clock& clock);

  // `authorization`: the header's value, "Bearer KEY". nullopt: not let in.
  std::optional<Caller> Identify(absl::string_view authorization);

 private:
  ApiKeyStore(const std::string& path, const Clock& clock) : clock_(clock), file_(path) {}
  void ReadAgain() ABSL_EXCLUSIVE_LOCKS_REQUIRED(mutex_);

  const Clock& clock_;
  absl::Mutex mutex_;
  FileChange file_ ABSL_GUARDED_BY(mutex_);
  std::shared_ptr<const ApiKeys> keys_ ABSL_GUARDED_BY(mutex_);
  MonoTime looked_ ABSL_GUARDED_BY(mutex_) = absl::InfinitePast();
};

}  // namespace baton::router
