#include "services/worker/pool_client.h"

#include <grpcpp/grpcpp.h>
#include <spdlog/spdlog.h>

#include <chrono>
#include <deque>
#include <thread>
#include <utility>
#include <variant>

#include "absl/base/thread_annotations.h"
#include "baton/pool.grpc.pb.h"
#include "common/mutex.h"
#include "services/kv_transfer/handoff/messages.h"
#include "services/worker/pool_breaker.h"

namespace baton {
namespace {

constexpr absl::Duration kLookEvery = absl::Milliseconds(200);
// A pool that was restarted, or has another key, is noticed so.
constexpr absl::Duration kAttachAgainEvery = absl::Seconds(2);

absl::Status ToAbsl(const grpc::Status& status) {
  return absl::Status(static_cast<absl::StatusCode>(status.error_code()), status.error_message());
}

void ToProto(const PoolRun& run, v1::PoolRun* out) {
  for (const BlockHash& block : run.blocks) baton::ToProto(block, out->add_blocks());
  for (const Id128& digest : run.digests) baton::ToProto(digest, out->add_digests());
}

absl::Status NoPool() {
  return absl::UnavailableError("the pool is not there at the moment");
}

}  // namespace

struct PoolClient::Impl {
  struct FetchJob {
    PoolAsk ask;
    std::function<void(absl::StatusOr<PoolFound>)> done;
  };
  struct StoreJob {
    PoolOffer offer;
    std::function<void(absl::StatusOr<PoolWants>)> done;
  };
  struct Job {
    std::variant<FetchJob, StoreJob> what;
    MonoTime deadline;
  };

  Impl(PoolClientOptions o, const Clock* c)
      : options(std::move(o)),
        clock(c),
        stub(v1::Pool::NewStub(grpc::CreateChannel(options.endpoint, grpc::InsecureChannelCredentials()))) {}

  void Push(Job job) {
    {
      MutexLock lock(&mutex);
      if (attached && !stopping && breaker.Allows(clock->Now()) && jobs.size() < options.max_queued) {
        jobs.push_back(std::move(job));
        return;
      }
      ++counted.not_asked;
    }
    Refuse(job, NoPool());
  }

  static void Refuse(Job& job, const absl::Status& why) {
    std::visit([&](auto& j) { j.done(why); }, job.what);
  }

  void Run() {
    for (;;) {
      std::deque<Job> taken;
      bool attach = false, over = false;
      {
        MutexLock lock(&mutex);
        const auto ready = [this]() ABSL_NO_THREAD_SAFETY_ANALYSIS { return stopping || !jobs.empty(); };
        mutex.Await(ready, kLookEvery);
        taken.swap(jobs);
        over = stopping;
        attach = breaker.Allows(clock->Now()) && (!attached || clock->Now() >= next_attach);
      }
      if (over) {
        for (Job& job : taken) Refuse(job, absl::CancelledError("the worker is shutting down"));
        return;
      }
      for (Job& job : taken) {
        std::visit([&](auto& j) { Do(j, job.deadline); }, job.what);
      }
      if (attach) Attach();
    }
  }

  // One call, of which nobody waits longer than to `deadline`.
  template <typename Request, typename Response>
  absl::Status Call(grpc::Status (v1::Pool::Stub::*method)(grpc::ClientContext*, const Request&, Response*),
                    const Request& request, Response* response, MonoTime deadline) {
    grpc::ClientContext context;
    const absl::Duration left = deadline - clock->Now();
    if (left <= absl::ZeroDuration()) return absl::DeadlineExceededError("the pool's turn came too late");
    context.set_deadline(std::chrono::system_clock::now() + absl::ToChronoMicroseconds(left));
    {
      MutexLock lock(&mutex);
      if (stopping) return absl::CancelledError("the worker is shutting down");
      if (!breaker.Allows(clock->Now())) return NoPool();
      current = &context;
      ++counted.calls;
    }
    const absl::Status status = ToAbsl((stub.get()->*method)(&context, request, response));
    MutexLock lock(&mutex);
    current = nullptr;
    if (status.ok() || absl::IsInvalidArgument(status)) {
      breaker.Succeeded();
      return status;
    }
    ++counted.failures;
    if (absl::IsAborted(status)) {
      attached = false;
    } else {
      breaker.Failed(clock->Now());
    }
    return status;
  }

  void Attach() {
    v1::AttachRequest request;
    request.set_fingerprint(options.fingerprint);
    request.mutable_layout()->set_layers(options.layout.layers);
    request.mutable_layout()->set_kv_heads(options.layout.kv_heads);
    request.mutable_layout()->set_head_dim(options.layout.head_dim);
    request.mutable_layout()->set_dtype(static_cast<uint32_t>(options.layout.dtype));
    request.mutable_layout()->set_atoms_per_page(options.layout.atoms_per_page);
    v1::AttachResponse response;
    const absl::Duration patience = stats().attached ? options.call_time : options.attach_time;
    const absl::Status status = Call(&v1::Pool::Stub::Attach, request, &response, clock->Now() + patience);
    next_attach = clock->Now() + kAttachAgainEvery;
    if (!status.ok()) {
      Detach();
      if (status != last_refusal)
        spdlog::warn("no KV pool at {}: {}", options.endpoint, std::string(status.message()));
      last_refusal = status;
      return;
    }
    last_refusal = absl::OkStatus();
    const Epoch before = pool.epoch;
    pool = {.endpoint = response.peer().endpoint(),
            .curve_public_key = response.peer().curve_public_key(),
            .epoch = FromProto(response.peer().epoch())};
    if (pool.epoch != before) spdlog::info("KV pool at {}, handoffs {}", options.endpoint, pool.endpoint);
    MutexLock lock(&mutex);
    attached = true;
  }

  void Detach() {
    MutexLock lock(&mutex);
    attached = false;
  }

  Stats stats() const {
    MutexLock lock(&mutex);
    Stats now = counted;
    now.attached = attached;
    return now;
  }

  void Do(FetchJob& job, MonoTime deadline) {
    v1::PoolFetchRequest request;
    baton::ToProto(pool.epoch, request.mutable_pool_epoch());
    baton::ToProto(job.ask.handoff, request.mutable_handoff());
    baton::ToProto(options.self().epoch, request.mutable_reader_epoch());
    request.set_reader_rank(job.ask.rank);
    ToProto(job.ask.run, request.mutable_run());
    request.set_skip(job.ask.skip);
    request.set_least(job.ask.least);
    request.set_timeout_ms(absl::ToInt64Milliseconds(job.ask.timeout));
    v1::PoolFetchResponse response;
    const absl::Status status = Call(&v1::Pool::Stub::Fetch, request, &response, deadline);
    if (!status.ok()) return job.done(status);
    const auto most = static_cast<uint32_t>(job.ask.run.blocks.size());
    if (response.found() > most || response.blocks() > response.found())
      return job.done(absl::InternalError("the pool's answer makes no sense"));
    job.done(PoolFound{pool, response.found(), response.blocks(), response.from_disk()});
  }

  void Do(StoreJob& job, MonoTime deadline) {
    v1::PoolStoreRequest request;
    baton::ToProto(pool.epoch, request.mutable_pool_epoch());
    baton::ToProto(job.offer.handoff, request.mutable_handoff());
    const KvPeer self = options.self();
    request.mutable_owner()->set_endpoint(self.endpoint);
    request.mutable_owner()->set_curve_public_key(self.curve_public_key);
    baton::ToProto(self.epoch, request.mutable_owner()->mutable_epoch());
    request.mutable_owner()->set_rank(job.offer.rank);
    ToProto(job.offer.run, request.mutable_run());
    request.set_timeout_ms(absl::ToInt64Milliseconds(job.offer.timeout));
    v1::PoolStoreResponse response;
    const absl::Status status = Call(&v1::Pool::Stub::Store, request, &response, deadline);
    if (!status.ok()) return job.done(status);
    if (uint64_t{response.first()} + response.blocks() > job.offer.run.blocks.size())
      return job.done(absl::InternalError("the pool's answer makes no sense"));
    job.done(PoolWants{pool, response.first(), response.blocks()});
  }

  const PoolClientOptions options;
  const Clock* const clock;
  const std::unique_ptr<v1::Pool::Stub> stub;
  // Of the thread.
  KvPeer pool;
  absl::Status last_refusal;
  MonoTime next_attach;

  mutable Mutex mutex;
  std::deque<Job> jobs ABSL_GUARDED_BY(mutex);
  PoolBreaker breaker ABSL_GUARDED_BY(mutex);
  bool attached ABSL_GUARDED_BY(mutex) = false;
  bool stopping ABSL_GUARDED_BY(mutex) = false;
  grpc::ClientContext* current ABSL_GUARDED_BY(mutex) = nullptr;
  Stats counted ABSL_GUARDED_BY(mutex);
  std::thread thread;
};

PoolClient::PoolClient(PoolClientOptions options, const Clock* clock)
    : impl_(std::make_unique<Impl>(std::move(options), clock)) {
  impl_->thread = std::thread([impl = impl_.get()] { impl->Run(); });
}

PoolClient::~PoolClient() {
  {
    MutexLock lock(&impl_->mutex);
    impl_->stopping = true;
    if (impl_->current != nullptr) impl_->current->TryCancel();
  }
  impl_->thread.join();
}

void PoolClient::Fetch(PoolAsk ask, std::function<void(absl::StatusOr<PoolFound>)> done) {
  impl_->Push(
      {Impl::FetchJob{std::move(ask), std::move(done)}, impl_->clock->Now() + impl_->options.call_time});
}
void PoolClient::Store(PoolOffer offer, std::function<void(absl::StatusOr<PoolWants>)> done) {
  impl_->Push(
      {Impl::StoreJob{std::move(offer), std::move(done)}, impl_->clock->Now() + impl_->options.call_time});
}

PoolClient::Stats PoolClient::stats() const {
  return impl_->stats();
}

}  // namespace baton
