#include "services/router/rpc/worker_calls.h"

#include <grpcpp/grpcpp.h>

#include <deque>
#include <thread>
#include <type_traits>
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

// Takes the completions of one operation after the other.
class Completions {
 public:
  virtual ~Completions() = default;
  virtual void Done(bool ok) = 0;
  // What comes may be much work, for which no token should wait.
  virtual bool bulky() const = 0;
};

using WorkerStub = v1::Worker::Stub;
template <typename Request, typename Event>
using Starter = std::unique_ptr<grpc::ClientAsyncReader<Event>> (WorkerStub::*)(grpc::ClientContext*,
                                                                                const Request&,
                                                                                grpc::CompletionQueue*);

// One server-streaming call. Keeps itself alive until gRPC is done with it.
template <typename Request, typename Event, typename Message>
class Reader final : public Completions {
 public:
  Reader(Request request, std::function<void(Message)> callback, OpenCalls& open)
      : open_(open), request_(std::move(request)), callback_(std::move(callback)) {}

  grpc::ClientContext& context() { return context_; }

  void Begin(std::shared_ptr<Reader> self, SharedStub stub, Starter<Request, Event> start,
             grpc::CompletionQueue& queue) {
    v1::Worker::Stub& calls = *stub;
    open_.Add(std::move(stub), [weak = std::weak_ptr<Reader>(self)] { CancelIfAlive(weak); });
    const bool late = open_.stopping();
    self_ = self;
    reader_ = (calls.*start)(&context_, request_, &queue);
    reader_->StartCall(this);
    if (late) context_.TryCancel();
  }

  static void CancelIfAlive(const std::weak_ptr<Reader>& weak) {
    if (const std::shared_ptr<Reader> reader = weak.lock()) reader->context_.TryCancel();
  }

  bool bulky() const override {
    return std::is_same_v<Message, WatchMessage> || std::is_same_v<Message, RecordReply>;
  }

  void Done(bool ok) override {
    if (ending_) return End();
    if (ok && started_) {
      if (std::optional<Message> message = FromProto(event_)) callback_(std::move(*message));
    }
    started_ = true;
    ending_ = !ok;
    if (ok) {
      reader_->Read(&event_, this);
    } else {
      reader_->Finish(&status_, this);
    }
  }

 private:
  void End() {
    callback_(EndedMessage{ToAbsl(status_)});
    callback_ = nullptr;
    const std::shared_ptr<Reader> last = std::move(self_);
  }

  OpenCall open_;  // first, so that it goes last: the context holds the channel
  grpc::ClientContext context_;
  const Request request_;
  std::function<void(Message)> callback_;
  Event event_;
  grpc::Status status_;
  bool started_ = false;
  bool ending_ = false;
  std::unique_ptr<grpc::ClientAsyncReader<Event>> reader_;
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

struct Completion {
  Completions* of = nullptr;
  bool ok = false;
};

// Holds one completion of a call at most.
class Backlog {
 public:
  void Push(Completion completion) {
    absl::MutexLock lock(&mutex_);
    waiting_.push_back(completion);
  }
  Completion Pop() {
    const auto some = [this]() ABSL_SHARED_LOCKS_REQUIRED(mutex_) { return !waiting_.empty(); };
    absl::MutexLock lock(&mutex_, absl::Condition(&some));
    const Completion first = waiting_.front();
    waiting_.pop_front();
    return first;
  }

 private:
  absl::Mutex mutex_;
  std::deque<Completion> waiting_ ABSL_GUARDED_BY(mutex_);
};

constexpr absl::Duration kTellTime = absl::Seconds(5);

}  // namespace

struct WorkerCalls::Impl {
  explicit Impl(const WorkerCallsConfig& config_in)
      : config(config_in), credentials(GrpcChannelCredentials(config_in.tls)) {
    thread = std::thread([this] { Poll(); });
    bulk_thread = std::thread([this] { HandleBulk(); });
  }

  // One thread polls and handles what came: gRPC's own callbacks take another thread for each message.
  void Poll() {
    void* tag = nullptr;
    bool ok = false;
    while (queue.Next(&tag, &ok)) {
      auto* const completions = static_cast<Completions*>(tag);
      if (completions->bulky()) {
        bulk.Push({completions, ok});
      } else {
        completions->Done(ok);
      }
    }
    bulk.Push({});
  }

  void HandleBulk() {
    for (Completion next = bulk.Pop(); next.of != nullptr; next = bulk.Pop()) next.of->Done(next.ok);
  }

  ~Impl() {
    queue.Shutdown();
    thread.join();
    bulk_thread.join();
  }

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
    reader->Begin(reader, StubFor(endpoint), start, queue);
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
  grpc::CompletionQueue queue;
  Backlog bulk;
  std::thread thread;  // polls the queue
  std::thread bulk_thread;
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
  return impl_->Open(endpoint, ToProto(spec, parameters, source), parameters.timeout,
                     &WorkerStub::PrepareAsyncDecode, std::move(callback));
}

std::shared_ptr<Call> WorkerCalls::Prefill(const std::string& endpoint, const GenerateSpec& spec,
                                           const CallParameters& parameters, RankRef reader_rank,
                                           Epoch reader_epoch, std::function<void(PrefillMessage)> callback) {
  return impl_->Open(endpoint, ToProto(spec, parameters, reader_rank, reader_epoch), parameters.timeout,
                     &WorkerStub::PrepareAsyncPrefill, std::move(callback));
}

std::shared_ptr<Call> WorkerCalls::Share(const std::string& endpoint, const MoveParameters& parameters,
                                         uint32_t reader_rank, Epoch reader_epoch,
                                         std::function<void(ShareMessage)> callback) {
  return impl_->Open(endpoint, ToProto(parameters, reader_rank, reader_epoch), parameters.timeout,
                     &WorkerStub::PrepareAsyncShare, std::move(callback));
}

std::shared_ptr<Call> WorkerCalls::Fetch(const std::string& endpoint, const MoveParameters& parameters,
                                         const KvSourceRank& source,
                                         std::function<void(FetchMessage)> callback) {
  return impl_->Open(endpoint, ToProto(parameters, source), parameters.timeout,
                     &WorkerStub::PrepareAsyncFetch, std::move(callback));
}

std::shared_ptr<Call> WorkerCalls::Resume(const std::string& endpoint, const ResumeParameters& parameters,
                                          std::function<void(DecodeMessage)> callback) {
  return impl_->Open(endpoint, ToProto(parameters), parameters.timeout, &WorkerStub::PrepareAsyncResume,
                     std::move(callback));
}

std::shared_ptr<Call> WorkerCalls::Record(const std::string& endpoint, StreamId stream, Id128 principal,
                                          absl::Duration timeout, std::function<void(RecordReply)> callback) {
  return impl_->Open(endpoint, RecordRequestOf(stream, principal), timeout, &WorkerStub::PrepareAsyncRecord,
                     std::move(callback));
}

void WorkerCalls::Keep(const std::string& endpoint, const GenerateSpec& spec, Attempt attempt) {
  impl_->Tell(endpoint, KeepRequestOf(spec, attempt), &WorkerStub::PrepareAsyncKeep);
}

void WorkerCalls::Stop(const std::string& endpoint, StreamId stream, Attempt attempt) {
  impl_->Tell(endpoint, StopRequestOf(stream, attempt), &WorkerStub::PrepareAsyncStop);
}

std::shared_ptr<Call> WorkerCalls::Watch(const std::string& endpoint,
                                         std::function<void(WatchMessage)> callback) {
  v1::WatchRequest request;
  request.set_interval_ms(static_cast<uint32_t>(absl::ToInt64Milliseconds(impl_->config.watch_interval)));
  request.set_blocks(true);
  return impl_->Open(endpoint, std::move(request), absl::InfiniteDuration(), &WorkerStub::PrepareAsyncWatch,
                     std::move(callback));
}

void WorkerCalls::Retain(const std::set<std::string>& endpoints) {
  impl_->open.ReleaseReturned();
  absl::MutexLock lock(&impl_->mutex);
  absl::erase_if(impl_->stubs, [&](const auto& entry) { return endpoints.count(entry.first) == 0; });
}

}  // namespace baton::router
