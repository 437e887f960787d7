#pragma once

// One streaming call's gRPC side: a queue between the dispatcher, which appends, and gRPC, which takes one
// event at a time. The queue's bound is the core's emission buffer. Keeps itself alive until gRPC is done
// with it.

#include <grpcpp/alarm.h>
#include <grpcpp/server_context.h>
#include <grpcpp/support/server_callback.h>

#include <chrono>
#include <deque>
#include <functional>
#include <memory>
#include <optional>
#include <utility>

#include "absl/base/thread_annotations.h"
#include "absl/synchronization/mutex.h"
#include "services/worker/grpc_status.h"
#include "services/worker/worker_codec.h"

namespace baton {

template <typename Event>  // v1::DecodeEvent and its like
class CallStream final : public grpc::ServerWriteReactor<Event>, public CallSink {
 public:
  // `release` is called when gRPC is done with the call.
  CallStream(Worker* worker, grpc::CallbackServerContext* context, std::function<void()> release)
      : worker_(worker), context_(context), release_(std::move(release)), id_(worker->NewCall()) {}

  CallId id() const { return id_; }
  // Until OnDone.
  void KeepAlive(std::shared_ptr<CallStream> self) { self_ = std::move(self); }

  void OnEvent(CallEvent event) override {
    absl::MutexLock lock(&mutex_);
    if (ended_.has_value()) return;
    queue_.push_back(std::move(event));
    Next();
  }

  void OnEnd(absl::Status status) override {
    absl::MutexLock lock(&mutex_);
    if (!status.ok()) queue_.clear();
    ended_ = std::move(status);
    Next();
    Linger();
  }

  void OnWriteDone(bool ok) override {
    if (!ok) {
      worker_->Break(id_);
    } else {
      worker_->Sent(id_, 1);
    }
    absl::MutexLock lock(&mutex_);
    writing_ = false;
    broken_ |= !ok;
    if (broken_) queue_.clear();
    Next();
    Linger();
  }

  void OnCancel() override { worker_->Break(id_); }

  void OnDone() override {
    std::shared_ptr<CallStream> self;
    {
      absl::MutexLock lock(&mutex_);
      done_ = true;
      alarm_.reset();
      self = std::move(self_);
    }
    release_();
  }

 private:
  static constexpr std::chrono::seconds kLingerTime{5};

  // After the end, a write that its reader never takes would keep the call for ever.
  void Linger() ABSL_EXCLUSIVE_LOCKS_REQUIRED(mutex_) {
    if (!ended_.has_value()) return;
    alarm_.reset();
    if (!writing_ || done_) return;
    alarm_ = std::make_unique<grpc::Alarm>();
    alarm_->Set(std::chrono::system_clock::now() + kLingerTime,
                [weak = std::weak_ptr<CallStream>(self_)](bool fired) {
                  if (const auto self = weak.lock(); fired && self != nullptr) self->GiveUp();
                });
  }

  void GiveUp() {
    absl::MutexLock lock(&mutex_);
    if (writing_ && !done_) context_->TryCancel();
  }

  void Next() ABSL_EXCLUSIVE_LOCKS_REQUIRED(mutex_) {
    if (writing_ || finished_) return;
    if (!queue_.empty()) {
      codec::ToProto(queue_.front(), worker_->facts().kv.epoch, &message_);
      queue_.pop_front();
      writing_ = true;
      grpc::WriteOptions options;
      // More is under way: let gRPC gather several events into one frame.
      if (!queue_.empty()) options.set_buffer_hint();
      this->StartWrite(&message_, options);
    } else if (ended_.has_value()) {
      finished_ = true;
      this->Finish(ToGrpc(*ended_));
    }
  }

  Worker* const worker_;
  grpc::CallbackServerContext* const context_;
  const std::function<void()> release_;
  const CallId id_;
  absl::Mutex mutex_;
  Event message_ ABSL_GUARDED_BY(mutex_);  // under gRPC's hands while writing_
  std::deque<CallEvent> queue_ ABSL_GUARDED_BY(mutex_);
  std::optional<absl::Status> ended_ ABSL_GUARDED_BY(mutex_);
  bool writing_ ABSL_GUARDED_BY(mutex_) = false;
  bool broken_ ABSL_GUARDED_BY(mutex_) = false;
  bool finished_ ABSL_GUARDED_BY(mutex_) = false;
  bool done_ ABSL_GUARDED_BY(mutex_) = false;
  std::shared_ptr<CallStream> self_;
  std::unique_ptr<grpc::Alarm> alarm_ ABSL_GUARDED_BY(mutex_);  // a new one for each write
};

}  // namespace baton
