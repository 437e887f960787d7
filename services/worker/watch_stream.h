#pragma once

// One Watch call: a snapshot, then a numbered delta every interval (empty if nothing changed: a sign of
// life). With `blocks`, prefix blocks go with both, in parts: what one event does not hold comes in the next,
// at once.

#include <grpcpp/alarm.h>
#include <grpcpp/server_context.h>
#include <grpcpp/support/server_callback.h>

#include <functional>
#include <memory>
#include <string>
#include <vector>

#include "absl/base/thread_annotations.h"
#include "absl/synchronization/mutex.h"
#include "services/worker/worker.h"
#include "services/worker/worker_codec.h"

namespace baton {

class WatchStream final : public grpc::ServerWriteReactor<v1::WatchEvent> {
 public:
  // A write that is not taken within `write_time` ends the call.
  WatchStream(Worker* worker, grpc::CallbackServerContext* context, absl::Duration interval, bool blocks,
              absl::Duration write_time, std::function<void()> release);
  void Begin(std::shared_ptr<WatchStream> self);

  void OnWriteDone(bool ok) override;
  void OnCancel() override;
  void OnDone() override;

 private:
  void OnInterval();
  void GiveUp();
  void Write() ABSL_EXCLUSIVE_LOCKS_REQUIRED(mutex_);
  void WriteBlocks() ABSL_EXCLUSIVE_LOCKS_REQUIRED(mutex_);
  void End(grpc::Status status) ABSL_EXCLUSIVE_LOCKS_REQUIRED(mutex_);

  Worker* const worker_;
  grpc::CallbackServerContext* const context_;
  const absl::Duration interval_;
  const bool blocks_;
  const absl::Duration write_time_;
  const std::function<void()> release_;
  absl::Mutex mutex_;
  v1::WatchEvent message_ ABSL_GUARDED_BY(mutex_);
  uint64_t number_ ABSL_GUARDED_BY(mutex_) = 0;
  std::vector<std::string> told_ ABSL_GUARDED_BY(mutex_);  // each rank's load as last written
  std::string told_key_ ABSL_GUARDED_BY(mutex_);
  std::vector<BlockJournal::Cursor> told_blocks_ ABSL_GUARDED_BY(mutex_);  // of each rank
  bool more_blocks_ ABSL_GUARDED_BY(mutex_) = false;
  bool writing_ ABSL_GUARDED_BY(mutex_) = false;
  bool cancelled_ ABSL_GUARDED_BY(mutex_) = false;
  bool finished_ ABSL_GUARDED_BY(mutex_) = false;
  bool done_ ABSL_GUARDED_BY(mutex_) = false;
  std::shared_ptr<WatchStream> self_ ABSL_GUARDED_BY(mutex_);
  grpc::Alarm alarm_;                                                 // the interval
  std::unique_ptr<grpc::Alarm> write_alarm_ ABSL_GUARDED_BY(mutex_);  // a new one for each write
};

}  // namespace baton
