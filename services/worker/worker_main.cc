#include "services/worker/worker_main.h"

#include <spdlog/spdlog.h>
#include <unistd.h>

#include <cstdio>
#include <cstdlib>
#include <fstream>
#include <utility>

#include "absl/strings/str_cat.h"
#include "absl/strings/str_format.h"
#include "common/admin_http.h"
#include "common/log.h"
#include "common/mutex.h"
#include "common/shared_memory.h"
#include "common/status_macros.h"
#include "engine/model/factory.h"
#include "services/kv_transfer/transport/fast_wire.h"
#include "services/worker/pool_gate.h"
#include "services/worker/pool_metrics.h"
#include "services/worker/signals.h"
#include "services/worker/worker_metrics.h"

namespace baton {
namespace {

constexpr absl::Duration kDrainMargin = absl::Seconds(5);
constexpr absl::Duration kLookAtHealthEvery = absl::Seconds(1);

// The file that tells others where this process is; written whole or not at all, gone when the process is.
class AddressFile {
 public:
  ~AddressFile() { Remove(); }
  void Remove() {
    if (!path_.empty()) unlink(path_.c_str());
    path_.clear();
  }
  absl::Status Write(const std::string& path, const std::string& text) {
    if (path.empty()) return absl::OkStatus();
    const std::string fresh = absl::StrCat(path, ".new");
    std::ofstream out(fresh, std::ios::trunc);
    out << text;
    out.close();
    if (!out || std::rename(fresh.c_str(), path.c_str()) != 0) {
      return absl::UnavailableError(absl::StrCat("cannot write --address_file=", path));
    }
    path_ = path;
    return absl::OkStatus();
  }

 private:
  std::string path_;
};

AdminHandlers NotReady(std::string why) {
  return {.healthy = [] { return absl::OkStatus(); },
          .ready = [why] { return absl::UnavailableError(why); },
          .metrics = [] { return std::string(); }};
}

AdminHandlers Serving(const Worker* worker, const Metrics* metrics) {
  return {.healthy = [worker] { return worker->Health(); },
          .ready =
              [worker] {
                return worker->Status().drain.draining ? absl::UnavailableError("draining")
                                                       : worker->Health();
              },
          .metrics = [metrics] { return metrics->Text(); }};
}

using SharedPools = std::vector<std::unique_ptr<SharedMemory>>;

// `pools` outlive the worker.
absl::StatusOr<std::unique_ptr<Worker>> StartWorker(const WorkerSettings& settings, WorkerPlan& plan,
                                                    const Clock* clock, SharedPools* pools) {
  const MonoTime begun = clock->Now();
  BATON_RETURN_IF_ERROR(PlanPages(settings, &plan));
  // Where another process of this host may have to map the pages, they lie in memory that it can.
  const bool shared =
      plan.kv_wire == WireChoice::kShm || (plan.kv_wire == WireChoice::kAuto && SharedMemory::Create(1).ok());
  if (shared) {
    plan.model.kv_memory = [pools](size_t bytes) -> absl::StatusOr<absl::Span<std::byte>> {
      BATON_ASSIGN_OR_RETURN(std::unique_ptr<SharedMemory> pool, SharedMemory::Create(bytes));
      pools->push_back(std::move(pool));
      return pools->back()->span();
    };
  }
  BATON_ASSIGN_OR_RETURN(std::vector<std::unique_ptr<ModelRunner>> runners,
                         LoadModels(settings.model, plan.model, settings.ranks));
  FastWireOptions wire_options{.zmq = plan.wire, .choice = plan.kv_wire, .min_gbps = settings.kv_min_gbps};
  for (const auto& pool : *pools) wire_options.shared.push_back(pool.get());
  BATON_ASSIGN_OR_RETURN(std::unique_ptr<Transport> wire, NewFastWire(wire_options, clock));
  BATON_ASSIGN_OR_RETURN(std::unique_ptr<Worker> worker,
                         Worker::Start(plan.worker, std::move(runners), std::move(wire), clock));
  spdlog::info("loaded {} in {} ms: {} rank(s) of {} pages, fingerprint {}", plan.worker.model,
               absl::ToInt64Milliseconds(clock->Now() - begun), settings.ranks, plan.model.page_count,
               worker->facts().fingerprint);
  return worker;
}

// Something to happen once. Waits on the steady clock.
class Event {
 public:
  void Happen() {
    MutexLock lock(&mutex_);
    happened_ = true;
  }
  bool WaitFor(absl::Duration longest) {
    MutexLock lock(&mutex_);
    return mutex_.Await([this]() ABSL_NO_THREAD_SAFETY_ANALYSIS { return happened_; }, longest);
  }

 private:
  Mutex mutex_;
  bool happened_ ABSL_GUARDED_BY(mutex_) = false;
};

// Ends the process if the worker cannot vouch for its memory or has a thread that may never come back (and so
// cannot be joined): whoever runs us starts us again, with a new epoch.
void ExitIfIll(const Worker& worker, AddressFile& file) {
  const absl::Status health = worker.Health();
  if (health.ok()) return;
  spdlog::critical("this process must restart: {}", std::string(health.message()));
  spdlog::default_logger()->flush();
  file.Remove();
  std::_Exit(1);
}

void DrainWorker(Worker& worker, absl::Duration grace) {
  spdlog::info("draining: no new streams; {} s for those that run", absl::ToInt64Seconds(grace));
  auto drained = std::make_shared<Event>();
  worker.Drain(grace, [drained](const DrainState& state) {
    spdlog::info("drained: {} ended, {} cut off", state.ended, state.cut_off);
    drained->Happen();
  });
  if (!drained->WaitFor(grace + kDrainMargin)) spdlog::warn("the drain took too long; leaving");
}

absl::Status Serve(WorkerRole role, const WorkerSettings& settings) {
  BATON_ASSIGN_OR_RETURN(WorkerPlan plan, PlanWorker(role, settings));
  BATON_RETURN_IF_ERROR(SetUpLogging(plan.process, settings.log_level));
  const SteadyClock clock;
  StopSignals signals;
  BATON_ASSIGN_OR_RETURN(const std::unique_ptr<AdminServer> admin,
                         AdminServer::Start(plan.http, NotReady("loading")));
  SharedPools pools;
  BATON_ASSIGN_OR_RETURN(const std::unique_ptr<Worker> worker, StartWorker(settings, plan, &clock, &pools));
  std::unique_ptr<PoolGate> pool;  // a decode worker has no prompts to fetch for
  if (!settings.kv_pool.empty() && role == WorkerRole::kPrefill) {
    pool = std::make_unique<PoolGate>(settings.kv_pool, plan.model.page_count, worker.get(), &clock);
  }
  BATON_ASSIGN_OR_RETURN(std::unique_ptr<WorkerServer> server,
                         WorkerServer::Start(plan.server, worker.get()));

  Metrics metrics;
  metrics.AddCollector([&](MetricSnapshot& out) {
    CollectWorkerMetrics(*worker, out);
    if (pool != nullptr) CollectPoolGateMetrics(*pool, out);
  });
  const auto reachable = [&](const HostPort& address) {
    return WithHost(address.ToString(), settings.advertise_host);
  };
  AddressFile file;
  const absl::Status written = file.Write(
      settings.address_file,
      absl::StrFormat(R"({"name": "%s", "role": "%s", "grpc": "%s", "http": "%s", "kv": "%s", "pid": %d})"
                      "\n",
                      plan.worker.name, role == WorkerRole::kPrefill ? "prefill" : "decode",
                      reachable(server->address()), reachable(admin->address()), worker->facts().kv.endpoint,
                      getpid()));
  BATON_RETURN_IF_ERROR(written);
  admin->SetHandlers(Serving(worker.get(), &metrics));
  spdlog::info("ready: {} grpc {} http {} kv {}", plan.worker.name, server->address().ToString(),
               admin->address().ToString(), worker->facts().kv.endpoint);

  while (!signals.WaitFor(kLookAtHealthEvery)) ExitIfIll(*worker, file);
  DrainWorker(*worker, settings.drain_grace);
  ExitIfIll(*worker, file);
  admin->SetHandlers(NotReady("shutting down"));
  server.reset();
  return absl::OkStatus();
}

}  // namespace

int RunWorker(WorkerRole role, const WorkerSettings& settings) {
  const absl::Status status = Serve(role, settings);
  if (status.ok()) return 0;
  absl::FPrintF(stderr, "baton-%s: %s\n", role == WorkerRole::kPrefill ? "prefill" : "decode",
                status.message());
  return 1;
}

}  // namespace baton
