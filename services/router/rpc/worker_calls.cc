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

using SharedStub = std::shared_ptr<v1::Worker::Stub>;

// Knows what is open, so that nothing outlives the channels. Cancels without its lock: gRPC may call back
// from within.
//
// gRPC 1.51 joins its callback threads when the process's last channel goes; on one of those threads that
// would be a thread that joins itself and a queue freed under it. So a call gives its channel back here when
// it ends, and others let it go.
class OpenCalls {
 public:
  using CancelCall = std::function<void()>;

  uint64_t Add(SharedStub stub, CancelCall cancel) {
    absl::MutexLock lock(&mutex_);
    open_.emplace(++last_, Entry{std::move(stub), std::move(cancel)});
    return last_;
  }
  bool stopping() const {
    absl::MutexLock lock(&mutex_);
    return stopping_;
  }
  // The call's context is gone.
  void Remove(uint64_t id) {
    absl::MutexLock lock(&mutex_);
    const auto it = open_.find(id);
    returned_.insert(std::move(it->second.stub));
    open_.erase(it);
  }
  // Never from a call's callback.
  void ReleaseReturned() {
    absl::flat_hash_set<SharedStub> returned;
    absl::MutexLock lock(&mutex_);
    returned.swap(returned_);
  }
  void CancelAndWait() {
    std::vector<CancelCall> cancels;
    {
      absl::MutexLock lock(&mutex_);
      stopping_ = true;
      for (const auto& [id, entry] : open_) cancels.push_back(entry.cancel);
    }
    for (const CancelCall& cancel : cancels) cancel();
    absl::MutexLock lock(&mutex_);
    const auto none = [this]() ABSL_SHARED_LOCKS_REQUIRED(mutex_) { return open_.empty(); };
    mutex_.Await(absl::Condition(&none));
  }

 private:
  struct Entry {
    SharedStub stub;
    CancelCall cancel;
  };
  mutable absl::Mutex mutex_;
  bool stopping_ ABSL_GUARDED_BY(mutex_) = false;
  uint64_t last_ ABSL_GUARDED_BY(mutex_) = 0;
  absl::flat_hash_map<uint64_t, Entry> open_ ABSL_GUARDED_BY(mutex_);
  absl::flat_hash_set<SharedStub> returned_ ABSL_GUARDED_BY(mutex_);
};

// A call's place among the open ones, given up when dropped.
class OpenCall {
 public:
  explicit OpenCall(OpenCalls& calls) : calls_(calls) {}
  OpenCall(const OpenCall&) = delete;
  OpenCall& operator=(const OpenCall&) = delete;
  ~OpenCall() {
    if (id_ != 0) calls_.Remove(id_);
  }
  void Add(SharedStub stub, OpenCalls::CancelCall cancel) {
    id_ = calls_.Add(std::move(stub), std::move(cancel));
  }
  bool stopping() const { return calls_.stopping(); }

 private:
  OpenCalls& calls_;
  uint64_t id_ = 0;
};

// One server-streaming call. Keeps itself alive until gRPC is done with it.
template <typename Request, typename Event, typename Message>
class Reader final : public grpc::ClientReadReactor<Event> {
 public:
  Reader(Request request, std::function<void(Message)> callback, OpenCalls& open)
      : open_(open), request_(std::move(request)), callback_(std::move(callback)) {}

  grpc::ClientContext& context() { return context_; }
  const Request& request() const { return request_; }

  void Begin(std::shared_ptr<Reader> self, SharedStub stub) {
    open_.Add(std::move(stub), [weak = std::weak_ptr<Reader>(self)] { CancelIfAlive(weak); });
    const bool late = open_.stopping();
    self_ = self;
    this->StartRead(&event_);
    this->StartCall();
    if (late) context_.TryCancel();
  }

  static void CancelIfAlive(const std::weak_ptr<Reader>& weak) {
    if (const std::shared_ptr<Reader> reader = weak.lock()) reader->context_.TryCancel();
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
  }

 private:
  OpenCall open_;  // first, so that it goes last: the context holds the channel
  grpc::ClientContext context_;
  const Request request_;
  Event event_;
  std::function<void(Message)> callback_;
  std::shared_ptr<Reader> self_;
};

// Owns nothing: a call that has ended is gone, however long this is kept.
template <typename ReaderType>
class ReaderCall final : public Call {
 public:
  explicit ReaderCall(const std::shared_ptr<ReaderType>& reader) : reader_(reader) {}
  ~ReaderCall() override { ReaderType::CancelIfAlive(reader_); }
  void Cancel() override { ReaderType::CancelIfAlive(reader_); }

 private:
  const std::weak_ptr<ReaderType> reader_;
};

using AsyncStub = v1::Worker::StubInterface::async_interface;
template <typename Request, typename Event>
using Starter = void (AsyncStub::*)(grpc::ClientContext*, const Request*, grpc::ClientReadReactor<Event>*);

constexpr absl::Duration kTellTime = absl::Seconds(5);

}  // namespace

struct WorkerCalls::Impl {
  explicit Impl(const WorkerCallsConfig& config_in)
      : config(config_in), credentials(GrpcChannelCredentials(config_in.tls)) {}

  SharedStub StubFor(const std::string& endpoint) {
    open.ReleaseReturned();
    absl::MutexLock lock(&mutex);
    SharedStub& stub = stubs[endpoint];
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
      stub = v1::Worker::NewStub(grpc::CreateCustomChannel(endpoint, credentials, arguments));
    }
    return stub;
  }

  template <typename Message, typename Request, typename Event>
  auto Begin(const std::string& endpoint, Request request, absl::Duration timeout,
             Starter<Request, Event> start, std::function<void(Message)> callback) {
    using ThisReader = Reader<Request, Event, Message>;
    auto reader = std::make_shared<ThisReader>(std::move(request), std::move(callback), open);
    if (timeout < absl::InfiniteDuration()) reader->context().set_deadline(GrpcDeadline(timeout));
    SharedStub stub = StubFor(endpoint);
    (stub->async()->*start)(&reader->context(), &reader->request(), reader.get());
    reader->Begin(reader, std::move(stub));
    return reader;
  }

  template <typename Request, typename Event, typename Message>
  std::shared_ptr<Call> Open(const std::string& endpoint, Request request, absl::Duration timeout,
                             Starter<Request, Event> start, std::function<void(Message)> callback) {
    return std::make_shared<ReaderCall<Reader<Request, Event, Message>>>(
        Begin(endpoint, std::move(request), timeout, start, std::move(callback)));
  }

  // A call whose end nobody waits for.
  template <typename Request, typename Event>
  void Tell(const std::string& endpoint, Request request, Starter<Request, Event> start) {
    Begin<ToldMessage>(endpoint, std::move(request), kTellTime, start, [](ToldMessage) {});
  }

  const WorkerCallsConfig config;
  const std::shared_ptr<grpc::ChannelCredentials> credentials;
  OpenCalls open;
  absl::Mutex mutex;
  absl::flat_hash_map<std::string, SharedStub> stubs ABSL_GUARDED_BY(mutex);
};

WorkerCalls::WorkerCalls(const WorkerCallsConfig& config) : impl_(std::make_unique<Impl>(config)) {}
WorkerCalls::~WorkerCalls() {
  Shutdown();
}

void WorkerCalls::Shutdown() {
  impl_->open.CancelAndWait();
  impl_->open.ReleaseReturned();
}

std::shared_ptr<Call> WorkerCalls::Decode(const std::string& endpoint, const GenerateSpec& spec,
                                          const CallParameters& parameters,
                                          const std::optional<KvSourceRank>& source,
                                          std::function<void(DecodeMessage)> callback) {
  return impl_->Open(endpoint, ToProto(spec, parameters, source), parameters.timeout, &AsyncStub::Decode,
                     std::move(callback));
}

std::shared_ptr<Call> WorkerCalls::Prefill(const std::string& endpoint, const GenerateSpec& spec,
                                           const CallParameters& parameters, RankRef reader_rank,
                                           Epoch reader_epoch, std::function<void(PrefillMessage)> callback) {
  return impl_->Open(endpoint, ToProto(spec, parameters, reader_rank, reader_epoch), parameters.timeout,
                     &AsyncStub::Prefill, std::move(callback));
}

std::shared_ptr<Call> WorkerCalls::Share(const std::string& endpoint, const MoveParameters& parameters,
                                         uint32_t reader_rank, Epoch reader_epoch,
                                         std::function<void(ShareMessage)> callback) {
  return impl_->Open(endpoint, ToProto(parameters, reader_rank, reader_epoch), parameters.timeout,
                     &AsyncStub::Share, std::move(callback));
}

std::shared_ptr<Call> WorkerCalls::Fetch(const std::string& endpoint, const MoveParameters& parameters,
                                         const KvSourceRank& source,
                                         std::function<void(FetchMessage)> callback) {
  return impl_->Open(endpoint, ToProto(parameters, source), parameters.timeout, &AsyncStub::Fetch,
                     std::move(callback));
}

std::shared_ptr<Call> WorkerCalls::Resume(const std::string& endpoint, const ResumeParameters& parameters,
                                          std::function<void(DecodeMessage)> callback) {
  return impl_->Open(endpoint, ToProto(parameters), parameters.timeout, &AsyncStub::Resume,
                     std::move(callback));
}

std::shared_ptr<Call> WorkerCalls::Record(const std::string& endpoint, StreamId stream, Id128 principal,
                                          absl::Duration timeout, std::function<void(RecordReply)> callback) {
  return impl_->Open(endpoint, RecordRequestOf(stream, principal), timeout, &AsyncStub::Record,
                     std::move(callback));
}

void WorkerCalls::Keep(const std::string& endpoint, const GenerateSpec& spec, Attempt attempt) {
  impl_->Tell(endpoint, KeepRequestOf(spec, attempt), &AsyncStub::Keep);
}

void WorkerCalls::Stop(const std::string& endpoint, StreamId stream, Attempt attempt) {
  impl_->Tell(endpoint, StopRequestOf(stream, attempt), &AsyncStub::Stop);
}

std::shared_ptr<Call> WorkerCalls::Watch(const std::string& endpoint,
                                         std::function<void(WatchMessage)> callback) {
  v1::WatchRequest request;
  request.set_interval_ms(static_cast<uint32_t>(absl::ToInt64Milliseconds(impl_->config.watch_interval)));
  request.set_blocks(true);
  return impl_->Open(endpoint, std::move(request), absl::InfiniteDuration(), &AsyncStub::Watch,
                     std::move(callback));
}

void WorkerCalls::Retain(const std::set<std::string>& endpoints) {
  impl_->open.ReleaseReturned();
  absl::MutexLock lock(&impl_->mutex);
  absl::erase_if(impl_->stubs, [&](const auto& entry) { return endpoints.count(entry.first) == 0; });
}

}  // namespace baton::router
