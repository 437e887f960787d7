#pragma once

// The server's certificate, its key, and whose clients are let in: files in PEM, read again for new
// connections when they have changed (looked at no more than once a second). Files that cannot be used leave
// the last good ones in force. Thread-safe. Includes Asio: only http/*.cc may include it.

#include <boost/asio/ssl/context.hpp>
#include <functional>
#include <memory>
#include <vector>

#include "absl/base/thread_annotations.h"
#include "absl/status/statusor.h"
#include "absl/synchronization/mutex.h"
#include "absl/time/time.h"
#include "common/file_change.h"
#include "services/router/http/http_types.h"

namespace baton::router {

class TlsContexts {
 public:
  using Context = std::shared_ptr<boost::asio::ssl::context>;

  // InvalidArgument names the file that cannot be used. `warn` hears of later ones.
  static absl::StatusOr<std::unique_ptr<TlsContexts>> Load(const TlsFiles& files,
                                                           std::function<void(const absl::Status&)> warn);
  // For the next connection.
  Context Current();

 private:
  TlsContexts(const TlsFiles& files, std::function<void(const absl::Status&)> warn);
  bool Changed() ABSL_EXCLUSIVE_LOCKS_REQUIRED(mutex_);

  const TlsFiles files_;
  const std::function<void(const absl::Status&)> warn_;
  absl::Mutex mutex_;
  std::vector<FileChange> changes_ ABSL_GUARDED_BY(mutex_);
  absl::Time looked_ ABSL_GUARDED_BY(mutex_) = absl::InfinitePast();
  Context context_ ABSL_GUARDED_BY(mutex_);
};

}  // namespace baton::router
