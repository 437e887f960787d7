#include "services/worker/worker_server.h"

#include <grpcpp/grpcpp.h>

#include <algorithm>
#include <atomic>
#include <chrono>

#include "absl/strings/str_cat.h"
#include "baton/worker.grpc.pb.h"
#include "services/worker/call_stream.h"
#include "services/worker/watch_stream.h"

namespace baton {
namespace {

constexpr absl::Duration kShortestWatchInterval = absl::Milliseconds(10);
constexpr absl::Duration kLongestWatchInterval = absl::Seconds(10);
constexpr std::chrono::seconds kShutdownTime{1};

// A call that is refused before the worker hears of it.
template <typename Event>
class RefusedStream final : public grpc::ServerWriteReactor<Event> {
 public:
  explicit RefusedStream(const absl::Status& status) { this->Finish(ToGrpc(status)); }
  void OnDone() override { delete this; }
};

class Service final : public v1::Worker::CallbackService {
 public:
  Service(const WorkerServerOptions& options, baton::Worker* worker) : options_(options), worker_(worker) {}

  grpc::ServerWriteReactor<v1::DecodeEvent>* Decode(grpc::CallbackServerContext* context,
                                                    const v1::DecodeRequest* request) override {
    return Open<v1::DecodeEvent>(context, *request);
  }

  grpc::ServerWriteReactor<v1::PrefillEvent>* Prefill(grpc::CallbackServerContext* context,
                                                      const v1::PrefillRequest* request) override {
    return Open<v1::PrefillEvent>(context, *request);
  }

  grpc::ServerWriteReactor<v1::ShareEvent>* Share(grpc::CallbackServerContext* context,
                                                  const v1::ShareRequest* request) override {
    return Open<v1::ShareEvent>(context, *request);
  }

  grpc::ServerWriteReactor<v1::FetchEvent>* Fetch(grpc::CallbackServerContext* context,
                                                  const v1::FetchRequest* request) override {
    return Open<v1::FetchEvent>(context, *request);
  }

  grpc::ServerWriteReactor<v1::DecodeEvent>* Resume(grpc::CallbackServerContext* context,
                                                    const v1::ResumeRequest* request) override {
    return Open<v1::DecodeEvent>(context, *request);
  }

  grpc::ServerWriteReactor<v1::RecordEvent>* Record(grpc::CallbackServerContext* context,
                                                    const v1::RecordRequest* request) override {
    return Open<v1::RecordEvent>(context, *request);
  }

  grpc::ServerWriteReactor<v1::KeepEvent>* Keep(grpc::CallbackServerContext* context,
                                                const v1::KeepRequest* request) override {
    return Open<v1::KeepEvent>(context, *request);
  }

  grpc::ServerWriteReactor<v1::StopEvent>* Stop(grpc::CallbackServerContext* context,
                                                const v1::StopRequest* request) override {
    return Open<v1::StopEvent>(context, *request);
  }

  grpc::ServerWriteReactor<v1::WatchEvent>* Watch(grpc::CallbackServerContext* context,
                                                  const v1::WatchRequest* request) override {
    if (!Enter()) return new RefusedStream<v1::WatchEvent>(Full());
    const absl::Duration interval =
        request->interval_ms() == 0 ? options_.watch_interval : absl::Milliseconds(request->interval_ms());
    auto stream = std::make_shared<WatchStream>(
        worker_, context, std::clamp(interval, kShortestWatchInterval, kLongestWatchInterval),
        request->blocks(), options_.watch_write_time, [this] { Leave(); });
    stream->Begin(stream);
    return stream.get();
  }

  grpc::ServerUnaryReactor* Drain(grpc::CallbackServerContext* context, const v1::DrainRequest* request,
                                  v1::DrainResponse* response) override {
    grpc::ServerUnaryReactor* reactor = context->DefaultReactor();
    if (!Enter()) {
      reactor->Finish(ToGrpc(Full()));
      return reactor;
    }
    constexpr uint64_t kMostMs = uint64_t{1} << 40;
    const auto grace = absl::Milliseconds(static_cast<int64_t>(std::min(request->grace_ms(), kMostMs)));
    const auto limited = std::min(grace, options_.drain_grace_limit);
    worker_->Drain(limited, [this, reactor, response](const DrainState& state) {
      response->set_ended(state.ended);
      response->set_cut_off(state.cut_off);
      Leave();
      reactor->Finish(grpc::Status::OK);
    });
    return reactor;
  }

 private:
  template <typename Event, typename Request>
  grpc::ServerWriteReactor<Event>* Open(grpc::CallbackServerContext* context, const Request& request) {
    auto call = codec::FromProto(request, worker_->Now());
    if (!call.ok()) return new RefusedStream<Event>(call.status());
    if (!Enter()) return new RefusedStream<Event>(Full());
    auto stream = std::make_shared<CallStream<Event>>(worker_, context, [this] { Leave(); });
    stream->KeepAlive(stream);
    CallStream<Event>* reactor = stream.get();
    worker_->Open(reactor->id(), *std::move(call), std::move(stream));
    return reactor;
  }

  bool Enter() {
    if (calls_.fetch_add(1) < options_.max_calls) return true;
    Leave();
    return false;
  }
  void Leave() { calls_.fetch_sub(1); }
  static absl::Status Full() { return absl::ResourceExhaustedError("queue full: too many calls in flight"); }

  const WorkerServerOptions options_;
  baton::Worker* const worker_;
  std::atomic<int> calls_{0};
};

int Milliseconds(absl::Duration duration) {
  return static_cast<int>(absl::ToInt64Milliseconds(duration));
}

}  // namespace

struct WorkerServer::Impl {
  Impl(const WorkerServerOptions& options, Worker* worker)
      : service(options, worker), address(options.listen) {}
  ~Impl() {
    if (server != nullptr) server->Shutdown(std::chrono::system_clock::now() + kShutdownTime);
  }

  Service service;
  HostPort address;
  std::unique_ptr<grpc::Server> server;
};

WorkerServer::WorkerServer(std::unique_ptr<Impl> impl) : impl_(std::move(impl)) {}
WorkerServer::~WorkerServer() = default;
const HostPort& WorkerServer::address() const {
  return impl_->address;
}

absl::StatusOr<std::unique_ptr<WorkerServer>> WorkerServer::Start(const WorkerServerOptions& options,
                                                                  Worker* worker) {
  auto impl = std::make_unique<Impl>(options, worker);
  grpc::ServerBuilder builder;
  int port = 0;
  builder.AddListeningPort(options.listen.ToString(), GrpcServerCredentials(options.tls), &port);
  builder.RegisterService(&impl->service);
  builder.SetMaxReceiveMessageSize(options.max_message_bytes);
  builder.AddChannelArgument(GRPC_ARG_ALLOW_REUSEPORT, 0);
  builder.AddChannelArgument(GRPC_ARG_KEEPALIVE_TIME_MS, Milliseconds(options.keepalive));
  builder.AddChannelArgument(GRPC_ARG_KEEPALIVE_TIMEOUT_MS, Milliseconds(options.keepalive_timeout));
  builder.AddChannelArgument(GRPC_ARG_KEEPALIVE_PERMIT_WITHOUT_CALLS, 1);
  builder.AddChannelArgument(GRPC_ARG_HTTP2_MAX_PINGS_WITHOUT_DATA, 0);
  builder.AddChannelArgument(GRPC_ARG_HTTP2_MIN_RECV_PING_INTERVAL_WITHOUT_DATA_MS,
                             Milliseconds(options.keepalive) / 2);
  builder.AddChannelArgument(GRPC_ARG_MAX_CONCURRENT_STREAMS, options.max_calls);
  impl->server = builder.BuildAndStart();
  if (impl->server == nullptr || port == 0) {
    return absl::UnavailableError(
        absl::StrCat("cannot listen on --grpc_listen=", options.listen.ToString(),
                     ": the port is in use, or the address is none of this machine's"));
  }
  impl->address.port = static_cast<uint16_t>(port);
  return std::unique_ptr<WorkerServer>(new WorkerServer(std::move(impl)));
}

}  // namespace baton
