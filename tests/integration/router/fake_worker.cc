#include "tests/integration/router/fake_worker.h"

#include <grpcpp/grpcpp.h>

#include "absl/base/thread_annotations.h"
#include "absl/synchronization/mutex.h"
#include "baton/worker.grpc.pb.h"
#include "common/ids.h"

namespace baton::router::testing {
namespace {
constexpr absl::Duration kPatience = absl::Seconds(10);
constexpr absl::Duration kCheck = absl::Milliseconds(5);
}  // namespace

struct FakeWorker::Impl final : v1::Worker::Service {
  grpc::Status Decode(grpc::ServerContext* context, const v1::DecodeRequest* request,
                      grpc::ServerWriter<v1::DecodeEvent>* writer) override {
    const FakePlan now = Enter([&] { decode_requests.push_back(*request); });
    const grpc::Status status = RunDecode(now, *request, context, writer);
    Leave(context);
    return status;
  }

  grpc::Status Prefill(grpc::ServerContext* context, const v1::PrefillRequest* request,
                       grpc::ServerWriter<v1::PrefillEvent>* writer) override {
    const FakePlan now = Enter([&] { prefill_requests.push_back(*request); });
    const grpc::Status status = RunPrefill(now, context, writer);
    Leave(context);
    return status;
  }

  grpc::Status Watch(grpc::ServerContext* context, const v1::WatchRequest*,
                     grpc::ServerWriter<v1::WatchEvent>* writer) override {
    for (uint64_t number = 0; !context->IsCancelled(); ++number) {
      v1::WatchEvent event;
      SetReport(number, event);
      if (!writer->Write(event)) break;
      absl::MutexLock lock(&mutex);
      if (mutex.AwaitWithTimeout(absl::Condition(&stopping), absl::Milliseconds(100))) break;
    }
    return grpc::Status::OK;
  }

  void SetReport(uint64_t number, v1::WatchEvent& event) {
    absl::MutexLock lock(&mutex);
    event.mutable_epoch()->set_hi(epoch.hi);
    event.mutable_epoch()->set_lo(epoch.lo);
    event.set_number(number);
    event.set_role(role);
    event.set_healthy(true);
    event.set_draining(draining);
    if (number == 0) {
      v1::WorkerInfo* info = event.mutable_info();
      info->set_name(name);
      info->set_fingerprint(fingerprint);
      info->mutable_kv()->set_endpoint("tcp://127.0.0.1:1");
      info->set_page_tokens(16);
    }
    v1::RankLoad* rank = event.add_ranks();
    rank->mutable_pages()->set_free(1000);
  }

  grpc::Status Share(grpc::ServerContext*, const v1::ShareRequest* request,
                     grpc::ServerWriter<v1::ShareEvent>* writer) override {
    const FakePlan now = Enter([&] { share_requests.push_back(*request); }, 0);
    if (now.share_code != 0) return {static_cast<grpc::StatusCode>(now.share_code), "refused as planned"};
    v1::ShareEvent shared, ended;
    shared.mutable_shared()->set_tokens(static_cast<uint32_t>(request->move().tokens_size() / 16 * 16));
    ended.mutable_ended()->set_outcome(v1::KV_OUTCOME_HELD);
    writer->Write(shared);
    writer->Write(ended);
    return grpc::Status::OK;
  }

  grpc::Status Fetch(grpc::ServerContext*, const v1::FetchRequest* request,
                     grpc::ServerWriter<v1::FetchEvent>* writer) override {
    const FakePlan now = Enter([&] { fetch_requests.push_back(*request); }, 0);
    if (now.fetch_code != 0) return {static_cast<grpc::StatusCode>(now.fetch_code), "refused as planned"};
    v1::FetchEvent event;
    event.mutable_fetched()->set_outcome(v1::KV_OUTCOME_HELD);
    writer->Write(event);
    return grpc::Status::OK;
  }

  grpc::Status RunDecode(const FakePlan& now, const v1::DecodeRequest& request, grpc::ServerContext* context,
                         grpc::ServerWriter<v1::DecodeEvent>* writer) {
    if (now.refuse_code != 0) return {static_cast<grpc::StatusCode>(now.refuse_code), "refused as planned"};
    if (!now.accept) return Hang(context);
    v1::DecodeEvent event;
    event.mutable_accepted()->mutable_epoch()->set_hi(epoch.hi);
    event.mutable_accepted()->mutable_epoch()->set_lo(epoch.lo);
    writer->Write(event);
    if (now.await_release) AwaitRelease();
    const size_t emitted = static_cast<size_t>(request.spec().tokens_size()) - request.spec().prompt_tokens();
    for (size_t i = emitted; now.endless || i < now.tokens.size(); ++i) {
      if (static_cast<int>(i) == now.break_after) return {grpc::StatusCode::UNAVAILABLE, "broke as planned"};
      if (static_cast<int>(i) == now.hang_after) return Hang(context);
      Pause(now.token_delay);
      SetToken(now, static_cast<uint32_t>(i), now.tokens[i % now.tokens.size()], event.mutable_token());
      if (context->IsCancelled() || !writer->Write(event)) return grpc::Status::CANCELLED;
    }
    event.mutable_finished()->set_reason(now.finish);
    event.mutable_finished()->set_kv(v1::KV_OUTCOME_HELD);
    writer->Write(event);
    return grpc::Status::OK;
  }

  grpc::Status RunPrefill(const FakePlan& now, grpc::ServerContext* context,
                          grpc::ServerWriter<v1::PrefillEvent>* writer) {
    if (now.refuse_code != 0) return {static_cast<grpc::StatusCode>(now.refuse_code), "refused as planned"};
    if (now.break_after == 0) return {grpc::StatusCode::UNAVAILABLE, "broke as planned"};
    if (!now.accept) return Hang(context);
    v1::PrefillEvent event;
    SetToken(now, 0, now.prefill_token >= 0 ? now.prefill_token : now.tokens[0], event.mutable_first_token());
    event.set_cached_tokens(3);
    writer->Write(event);
    v1::PrefillEvent handoff;
    handoff.mutable_handoff()->set_outcome(v1::KV_OUTCOME_HELD);
    writer->Write(handoff);
    return grpc::Status::OK;
  }

  static void SetToken(const FakePlan&, uint32_t position, int32_t id, v1::Token* token) {
    token->Clear();
    token->set_position(position);
    token->set_token(id);
    token->set_logprob(-0.5f);
    v1::TopLogprob* top = token->add_top();
    top->set_token(id);
    top->set_logprob(-0.5f);
  }

  void AwaitRelease() {
    absl::MutexLock lock(&mutex);
    const auto go = [this] { return released || stopping; };
    mutex.AwaitWithTimeout(absl::Condition(&go), kPatience);
  }

  void Pause(absl::Duration delay) {
    if (delay <= absl::ZeroDuration()) return;
    absl::MutexLock lock(&mutex);
    mutex.AwaitWithTimeout(absl::Condition(&stopping), delay);
  }

  grpc::Status Hang(grpc::ServerContext* context) {
    absl::MutexLock lock(&mutex);
    while (!stopping && !context->IsCancelled()) mutex.AwaitWithTimeout(absl::Condition(&stopping), kCheck);
    return grpc::Status::CANCELLED;
  }

  template <typename Record>
  FakePlan Enter(const Record& record, int calls = 1) {
    absl::MutexLock lock(&mutex);
    record();
    open += calls;
    return plan;
  }

  void Leave(grpc::ServerContext* context) {
    absl::MutexLock lock(&mutex);
    --open;
    if (context->IsCancelled()) ++cancelled;
  }

  std::string name;
  v1::Role role;
  std::string fingerprint;
  Epoch epoch = RandomId128();
  std::string endpoint;
  int port = 0;
  std::unique_ptr<grpc::Server> server;
  mutable absl::Mutex mutex;
  FakePlan plan;
  bool draining = false;
  bool stopping = false;
  bool released = false;
  int open = 0;
  int cancelled = 0;
  std::vector<v1::DecodeRequest> decode_requests;
  std::vector<v1::PrefillRequest> prefill_requests;
  std::vector<v1::ShareRequest> share_requests;
  std::vector<v1::FetchRequest> fetch_requests;
};

FakeWorker::FakeWorker(const std::string& name, v1::Role role, FakePlan plan, const std::string& fingerprint,
                       int port)
    : impl_(std::make_unique<Impl>()) {
  impl_->name = name;
  impl_->role = role;
  impl_->plan = std::move(plan);
  impl_->fingerprint = fingerprint;
  grpc::ServerBuilder builder;
  builder.AddListeningPort("127.0.0.1:" + std::to_string(port), grpc::InsecureServerCredentials(), &port);
  builder.RegisterService(impl_.get());
  impl_->server = builder.BuildAndStart();
  impl_->port = port;
  impl_->endpoint = "127.0.0.1:" + std::to_string(port);
}

FakeWorker::~FakeWorker() {
  {
    absl::MutexLock lock(&impl_->mutex);
    impl_->stopping = true;
  }
  impl_->server->Shutdown(std::chrono::system_clock::now() + std::chrono::milliseconds(200));
}

const std::string& FakeWorker::endpoint() const {
  return impl_->endpoint;
}

int FakeWorker::port() const {
  return impl_->port;
}

void FakeWorker::SetPlan(FakePlan plan) {
  absl::MutexLock lock(&impl_->mutex);
  impl_->plan = std::move(plan);
}

void FakeWorker::Release() {
  absl::MutexLock lock(&impl_->mutex);
  impl_->released = true;
}

void FakeWorker::SetDraining(bool draining) {
  absl::MutexLock lock(&impl_->mutex);
  impl_->draining = draining;
}

std::vector<v1::DecodeRequest> FakeWorker::decodes() const {
  absl::MutexLock lock(&impl_->mutex);
  return impl_->decode_requests;
}

std::vector<v1::ShareRequest> FakeWorker::shares() const {
  absl::MutexLock lock(&impl_->mutex);
  return impl_->share_requests;
}

std::vector<v1::FetchRequest> FakeWorker::fetches() const {
  absl::MutexLock lock(&impl_->mutex);
  return impl_->fetch_requests;
}

std::vector<v1::PrefillRequest> FakeWorker::prefills() const {
  absl::MutexLock lock(&impl_->mutex);
  return impl_->prefill_requests;
}

int FakeWorker::cancelled() const {
  absl::MutexLock lock(&impl_->mutex);
  return impl_->cancelled;
}

int FakeWorker::open_calls() const {
  absl::MutexLock lock(&impl_->mutex);
  return impl_->open;
}

bool FakeWorker::WaitForCancelled(int count) const {
  absl::MutexLock lock(&impl_->mutex);
  const auto enough = [this, count] { return impl_->cancelled >= count; };
  return impl_->mutex.AwaitWithTimeout(absl::Condition(&enough), kPatience);
}

bool FakeWorker::WaitForIdle() const {
  absl::MutexLock lock(&impl_->mutex);
  const auto idle = [this] { return impl_->open == 0; };
  return impl_->mutex.AwaitWithTimeout(absl::Condition(&idle), kPatience);
}

bool FakeWorker::WaitForDecodes(size_t count) const {
  absl::MutexLock lock(&impl_->mutex);
  const auto enough = [this, count] { return impl_->decode_requests.size() >= count; };
  return impl_->mutex.AwaitWithTimeout(absl::Condition(&enough), kPatience);
}

}  // namespace baton::router::testing
