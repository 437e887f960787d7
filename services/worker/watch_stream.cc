#include "services/worker/watch_stream.h"

#include <chrono>
#include <utility>

namespace baton {
namespace {

constexpr size_t kBlocksInEvent = 2048;  // 32 KB

std::string BytesOf(const std::vector<BlockHash>& blocks) {
  return {reinterpret_cast<const char*>(blocks.data()), blocks.size() * sizeof(BlockHash)};
}

}  // namespace

WatchStream::WatchStream(Worker* worker, grpc::CallbackServerContext* context, absl::Duration interval,
                         bool blocks, absl::Duration write_time, std::function<void()> release)
    : worker_(worker),
      context_(context),
      interval_(interval),
      blocks_(blocks),
      write_time_(write_time),
      release_(std::move(release)),
      told_(worker->facts().ranks),
      told_key_(worker->kv_public_key()),
      told_blocks_(worker->facts().ranks) {}

void WatchStream::Begin(std::shared_ptr<WatchStream> self) {
  absl::MutexLock lock(&mutex_);
  self_ = std::move(self);
  Write();
}

void WatchStream::Write() {
  const WorkerStatus status = worker_->Status();
  message_.Clear();
  codec::ToProto(worker_->facts().kv.epoch, message_.mutable_epoch());
  if (const std::string& key = worker_->kv_public_key(); key != told_key_) {
    // A snapshot again: the facts go with those only.
    number_ = 0;
    told_key_ = key;
    told_.assign(told_.size(), "");
  }
  message_.set_number(number_);
  if (number_ == 0) {
    codec::ToProto(worker_->facts(), message_.mutable_info());
    message_.mutable_info()->mutable_kv()->set_curve_public_key(told_key_);
  }
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
  if (blocks_) WriteBlocks();
  writing_ = true;
  write_alarm_ = std::make_unique<grpc::Alarm>();
  write_alarm_->Set(std::chrono::system_clock::now() + absl::ToChronoMilliseconds(write_time_),
                    [weak = std::weak_ptr<WatchStream>(self_)](bool fired) {
                      if (const auto self = weak.lock(); fired && self != nullptr) self->GiveUp();
                    });
  StartWrite(&message_);
}

void WatchStream::WriteBlocks() {
  more_blocks_ = false;
  size_t room = kBlocksInEvent;
  for (uint32_t rank = 0; rank < told_blocks_.size(); ++rank) {
    const BlockJournal::Part part = worker_->blocks(rank).Read(&told_blocks_[rank], room);
    more_blocks_ |= part.more;
    room -= part.stored.size() + part.evicted.size();
    if (!part.restart && part.stored.empty() && part.evicted.empty()) continue;
    v1::BlockChanges* changes = message_.add_blocks();
    changes->set_rank(rank);
    changes->set_restart(part.restart);
    changes->set_stored(BytesOf(part.stored));
    changes->set_evicted(BytesOf(part.evicted));
  }
}

void WatchStream::GiveUp() {
  absl::MutexLock lock(&mutex_);
  if (writing_ && !done_) context_->TryCancel();
}

void WatchStream::OnWriteDone(bool ok) {
  absl::MutexLock lock(&mutex_);
  writing_ = false;
  write_alarm_.reset();
  if (!ok || cancelled_) return End(grpc::Status(grpc::StatusCode::CANCELLED, "the watcher is gone"));
  if (more_blocks_) return Write();
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
    done_ = true;
    write_alarm_.reset();
    self = std::move(self_);
  }
  release_();
}

}  // namespace baton
