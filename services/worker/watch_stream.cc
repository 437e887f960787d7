#include "services/worker/watch_stream.h"

#include <chrono>
#include <utility>

namespace baton {

WatchStream::WatchStream(Worker* worker, absl::Duration interval, std::function<void()> release)
    : worker_(worker), interval_(interval), release_(std::move(release)), told_(worker->facts().ranks) {}

void WatchStream::Begin(std::shared_ptr<WatchStream> self) {
  absl::MutexLock lock(&mutex_);
  self_ = std::move(self);
  Write();
}

void WatchStream::Write() {
  const WorkerStatus status = worker_->Status();
  message_.Clear();
  codec::ToProto(worker_->facts().kv.epoch, message_.mutable_epoch());
  message_.set_number(number_);
  if (number_ == 0) codec::ToProto(worker_->facts(), message_.mutable_info());
  ++number_;
  message_.set_role(codec::ToProto(status.role));
  message_.set_draining(status.drain.draining);
  message_.set_healthy(status.health.ok());
  for (uint32_t rank = 0; rank < status.ranks.size(); ++rank) {
    v1::RankLoad load;
    codec::ToProto(rank, status.ranks[rank], &load);
    std::string bytes = load.SerializeAsString();
    if (bytes == told_[rank]) continue;
    told_[rank] = std::move(bytes);
    *message_.add_ranks() = std::move(load);
  }
  writing_ = true;
  StartWrite(&message_);
}

void WatchStream::OnWriteDone(bool ok) {
  absl::MutexLock lock(&mutex_);
  writing_ = false;
  if (!ok || cancelled_) return End(grpc::Status(grpc::StatusCode::CANCELLED, "the watcher is gone"));
  const auto when = std::chrono::system_clock::now() + absl::ToChronoMilliseconds(interval_);
  alarm_.Set(when, [weak = std::weak_ptr<WatchStream>(self_)](bool) {
    if (const auto self = weak.lock()) self->OnInterval();
  });
}

void WatchStream::OnInterval() {
  absl::MutexLock lock(&mutex_);
  if (cancelled_) return End(grpc::Status(grpc::StatusCode::CANCELLED, "the watcher is gone"));
  Write();
}

void WatchStream::OnCancel() {
  absl::MutexLock lock(&mutex_);
  cancelled_ = true;
  if (!writing_) alarm_.Cancel();
}

void WatchStream::End(grpc::Status status) {
  if (std::exchange(finished_, true)) return;
  Finish(std::move(status));
}

void WatchStream::OnDone() {
  std::shared_ptr<WatchStream> self;
  {
    absl::MutexLock lock(&mutex_);
    self = std::move(self_);
  }
  release_();
}

}  // namespace baton
