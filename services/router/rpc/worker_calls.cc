#include "services/router/rpc/worker_calls.h"

#include <grpcpp/grpcpp.h>

#include <utility>

#include "absl/base/thread_annotations.h"
#include "absl/container/flat_hash_map.h"
#include "absl/container/flat_hash_set.h"
#include "absl/synchronization/mutex.h"
#include "baton/worker.grpc.pb.h"
#include "services/router/rpc/convert.h"

namespace baton::router {
namespace {

absl::Status ToAbsl(const grpc::Status& status) {
  return absl::Status(static_cast<absl::StatusCode>(status.error_code()), status.error_message());
}

std::chrono::system_clock::time_point GrpcDeadline(absl::Duration timeout) {
  return std::chrono::system_clock::now() + absl::ToChronoMilliseconds(timeout);
}

// Knows what is open, so that nothing outlives the clients. Cancels without its lock: gRPC may call back from
// within.
class OpenCalls {
 public:
  void Add(std::shared_ptr<grpc::ClientContext> context) {
    bool late = false;
    {
      absl::MutexLock lock(&mutex_);
      late = stopping_;
      contexts_.insert(context);
    }
    if (late) context->TryCancel();
  }
  void Remove(const std::shared_ptr<grpc::ClientContext>& context) {
    absl::MutexLock lock(&mutex_);
    contexts_.erase(context);
  }
  void CancelAndWait() {
    absl::flat_hash_set<std::shared_ptr<grpc::ClientContext>> open;
    {
      absl::MutexLock lock(&mutex_);
      stopping_ = true;
      open = contexts_;
    }
    for (const auto& context : open) context->TryCancel();
    open.clear();
    absl::MutexLock lock(&mutex_);
    const auto none = [this]() ABSL_SHARED_LOCKS_REQUIRED(mutex_) { return contexts_.empty(); };
    mutex_.Await(absl::Condition(&none));
  }

 private:
  absl::Mutex mutex_;
  bool stopping_ ABSL_GUARDED_BY(mutex_) = false;
  absl::flat_hash_set<std::shared_ptr<grpc::ClientContext>> contexts_ ABSL_GUARDED_BY(mutex_);
};

// One server-streaming call. Keeps itself alive until gRPC is done with it.
template <typename Request, typename Event, typename Message>
class Reader final : public grpc::ClientReadReactor<Event> {
 public:
  Reader(Request request, std::function<void(Message)> callback, OpenCalls& open)
      : request_(std::move(request)), callback_(std::move(callback)), open_(open) {}

  grpc::ClientContext& context() { return context_; }
  const Request& request() const { return request_; }

  void Begin(std::shared_ptr<Reader> self) {
    self_ = std::move(self);
    open_.Add(Context());
    this->StartRead(&event_);
    this->StartCall();
  }

  void OnReadDone(bool ok) override {
    if (!ok) return;
    if (std::optional<Message> message = FromProto(event_)) callback_(std::move(*message));
    this->StartRead(&event_);
  }

  void OnDone(const grpc::Status& status) override {
    callback_(EndedMessage{ToAbsl(status)});
    callback_ = nullptr;
    const std::shared_ptr<Reader> last = std::move(self_);
    open_.Remove({last, &context_});
  }

 private:
  std::shared_ptr<grpc::ClientContext> Context() { return {self_, &context_}; }

  grpc::ClientContext context_;
  const Request request_;
  Event event_;
  std::function<void(Message)> callback_;
  OpenCalls& open_;
  std::shared_ptr<Reader> self_;
};

template <typename ReaderType>
class ReaderCall final : public Call {
 public:
  explicit ReaderCall(std::shared_ptr<ReaderType> reader) : reader_(std::move(reader)) {}
  ~ReaderCall() override { reader_->context().TryCancel(); }
  void Cancel() override { reader_->context().TryCancel(); }

 private:
  const std::shared_ptr<ReaderType> reader_;
};

using DecodeReader = Reader<v1::DecodeRequest, v1::DecodeEvent, DecodeMessage>;
using PrefillReader = Reader<v1::PrefillRequest, v1::PrefillEvent, PrefillMessage>;
using WatchReader = Reader<v1::WatchRequest, v1::WatchEvent, WatchMessage>;

}  // namespace

struct WorkerCalls::Impl {
  explicit Impl(const WorkerCallsConfig& config_in) : config(config_in) {}

  std::shared_ptr<v1::Worker::Stub> StubFor(const std::string& endpoint) {
    absl::MutexLock lock(&mutex);
    std::shared_ptr<v1::Worker::Stub>& stub = stubs[endpoint];
    if (stub == nullptr) {
      grpc::ChannelArguments arguments;
      arguments.SetMaxReceiveMessageSize(static_cast<int>(config.max_message_bytes));
      arguments.SetMaxSendMessageSize(static_cast<int>(config.max_message_bytes));
      arguments.SetInt(GRPC_ARG_KEEPALIVE_TIME_MS,
                       static_cast<int>(absl::ToInt64Milliseconds(config.keepalive_interval)));
      arguments.SetInt(GRPC_ARG_KEEPALIVE_TIMEOUT_MS,
                       static_cast<int>(absl::ToInt64Milliseconds(config.keepalive_timeout)));
      arguments.SetInt(GRPC_ARG_HTTP2_MAX_PINGS_WITHOUT_DATA, 0);
      arguments.SetInt(GRPC_ARG_INITIAL_RECONNECT_BACKOFF_MS, 100);
      arguments.SetInt(GRPC_ARG_MIN_RECONNECT_BACKOFF_MS, 100);
      arguments.SetInt(GRPC_ARG_MAX_RECONNECT_BACKOFF_MS, 2000);
      arguments.SetInt(GRPC_ARG_ENABLE_HTTP_PROXY, 0);
      arguments.SetInt(GRPC_ARG_USE_LOCAL_SUBCHANNEL_POOL, 1);
      stub = v1::Worker::NewStub(
          grpc::CreateCustomChannel(endpoint, grpc::InsecureChannelCredentials(), arguments));
    }
    return stub;
  }

  const WorkerCallsConfig config;
  OpenCalls open;
  absl::Mutex mutex;
  absl::flat_hash_map<std::string, std::shared_ptr<v1::Worker::Stub>> stubs ABSL_GUARDED_BY(mutex);
};

WorkerCalls::WorkerCalls(const WorkerCallsConfig& config) : impl_(std::make_unique<Impl>(config)) {}
WorkerCalls::~WorkerCalls() {
  Shutdown();
}

void WorkerCalls::Shutdown() {
  impl_->open.CancelAndWait();
}

std::shared_ptr<Call> WorkerCalls::Decode(const std::string& endpoint, const GenerateSpec& spec,
                                          const CallParameters& parameters,
                                          const std::optional<KvSourceRank>& source,
                                          std::function<void(DecodeMessage)> callback) {
  auto reader =
      std::make_shared<DecodeReader>(ToProto(spec, parameters, source), std::move(callback), impl_->open);
  reader->context().set_deadline(GrpcDeadline(parameters.timeout));
  impl_->StubFor(endpoint)->async()->Decode(&reader->context(), &reader->request(), reader.get());
  reader->Begin(reader);
  return std::make_shared<ReaderCall<DecodeReader>>(std::move(reader));
}

std::shared_ptr<Call> WorkerCalls::Prefill(const std::string& endpoint, const GenerateSpec& spec,
                                           const CallParameters& parameters, RankRef reader_rank,
                                           Epoch reader_epoch, std::function<void(PrefillMessage)> callback) {
  auto reader = std::make_shared<PrefillReader>(ToProto(spec, parameters, reader_rank, reader_epoch),
                                                std::move(callback), impl_->open);
  reader->context().set_deadline(GrpcDeadline(parameters.timeout));
  impl_->StubFor(endpoint)->async()->Prefill(&reader->context(), &reader->request(), reader.get());
  reader->Begin(reader);
  return std::make_shared<ReaderCall<PrefillReader>>(std::move(reader));
}

std::shared_ptr<Call> WorkerCalls::Watch(const std::string& endpoint,
                                         std::function<void(WatchMessage)> callback) {
  v1::WatchRequest request;
  request.set_interval_ms(static_cast<uint32_t>(absl::ToInt64Milliseconds(impl_->config.watch_interval)));
  auto reader = std::make_shared<WatchReader>(std::move(request), std::move(callback), impl_->open);
  impl_->StubFor(endpoint)->async()->Watch(&reader->context(), &reader->request(), reader.get());
  reader->Begin(reader);
  return std::make_shared<ReaderCall<WatchReader>>(std::move(reader));
}

void WorkerCalls::Retain(const std::set<std::string>& endpoints) {
  absl::MutexLock lock(&impl_->mutex);
  absl::erase_if(impl_->stubs, [&](const auto& entry) { return endpoints.count(entry.first) == 0; });
}

}  // namespace baton::router
