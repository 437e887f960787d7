#include "tools/chaos/local_driver.h"

#include <signal.h>
#include <sys/wait.h>
#include <unistd.h>

#include <algorithm>
#include <filesystem>

#include "absl/strings/match.h"
#include "absl/strings/str_cat.h"
#include "common/status_macros.h"
#include "tools/chaos/schedule.h"
#include "tools/ctl/files.h"
#include "tools/ctl/http.h"
#include "tools/ctl/keys.h"
#include "tools/ctl/readiness.h"

namespace baton::chaos {
namespace {

constexpr absl::Duration kTick = absl::Milliseconds(20);
constexpr absl::Duration kStopGrace = absl::Seconds(8);
constexpr absl::Duration kAskTimeout = absl::Seconds(2);

std::string NewFolder() {
  static std::atomic<int> made_so_far = 0;
  std::error_code error;
  const std::filesystem::path temporary = std::filesystem::temp_directory_path(error);
  return absl::StrCat(temporary.string(), "/baton-chaos-", getpid(), "-", ++made_so_far);
}

// A router that was given any free port keeps the one it found: its clients know it.
void PinPort(ctl::ProcessPlan& router, const std::string& address) {
  for (std::string& word : router.command) {
    if (absl::StartsWith(word, "--listen=") && absl::EndsWith(word, ":0"))
      word = absl::StrCat(word.substr(0, word.size() - 2), address.substr(address.rfind(':')));
  }
}

}  // namespace

LocalDriver::LocalDriver(const ClusterShape& cluster, const LocalPaths& paths, std::string log_dir)
    : cluster_(cluster), paths_(paths), log_dir_(std::move(log_dir)), folder_(NewFolder()) {}

LocalDriver::~LocalDriver() {
  (void)Stop();
}

absl::Status LocalDriver::Prepare() {
  BATON_RETURN_IF_ERROR(ctl::MakePrivateFolder(folder_.path()));
  LocalPlace place{folder_};
  if (cluster_.own_networks) {
    BATON_ASSIGN_OR_RETURN(Networks networks, Networks::Make(ProcessNames(cluster_)));
    networks_.emplace(std::move(networks));
    place.addresses = networks_->addresses();
    for (const std::string& name : ProcessNames(cluster_)) place.enter_by[name] = networks_->Enter(name);
  }
  if (cluster_.kv_disk_mb > 0) {
    BATON_ASSIGN_OR_RETURN(disk_, Disk::Make(folder_.path() + "/disk", cluster_.kv_disk_mb));
    place.disk_dir = disk_->folder();
    if (!paths_.slow_disk.empty()) place.disk_control = disk_->control();
  }
  const int cores = static_cast<int>(std::max(1u, std::thread::hardware_concurrency()));
  BATON_ASSIGN_OR_RETURN(std::vector<ctl::ProcessPlan> plans, PlanLocally(cluster_, paths_, place, cores));
  std::vector<std::string> with_keys;
  absl::MutexLock lock(&mutex_);
  for (ctl::ProcessPlan& plan : plans) {
    if (plan.role != "router") with_keys.push_back(plan.name);
    Child& child = children_.emplace_back();
    child.record.name = plan.name;
    child.record.role = plan.role;
    child.restart_after = cluster_.restart_after;
    child.plan = std::move(plan);
  }
  BATON_RETURN_IF_ERROR(ctl::WriteFileAtomically(folder_.Workers(), ""));
  return ctl::MakeClusterKeys(ctl::ClusterKeys(folder_), with_keys);
}

absl::Status LocalDriver::Start(const std::function<void(const std::string&)>& doing,
                                const std::function<bool()>& given_up) {
  absl::Status started = Prepare();
  if (started.ok()) {
    supervisor_ = std::thread([this] { Supervise(); });
    started = WaitUntilReady(doing, given_up);
  }
  if (!started.ok()) (void)Stop();
  return started;
}

absl::Status LocalDriver::WaitUntilReady(const std::function<void(const std::string&)>& doing,
                                         const std::function<bool()>& given_up) {
  ctl::Readiness readiness(folder_, {getpid(), ctl::StartTimeOf(getpid())}, "", given_up);
  const MonoTime deadline = clock_.Now() + cluster_.start_within;
  for (;;) {
    const absl::StatusOr<bool> ready = readiness.Look();
    if (!ready.ok()) {
      std::string said;
      for (const std::string& line : ctl::LastLines(folder_.Log(readiness.died()), 5))
        absl::StrAppend(&said, "\n  ", line);
      return absl::AbortedError(absl::StrCat(ready.status().message(), said));
    }
    if (*ready) break;
    doing(readiness.doing());
    if (given_up()) return absl::CancelledError("stopped while the cluster was starting");
    if (clock_.Now() > deadline) {
      return absl::DeadlineExceededError(absl::StrCat("the cluster was not ready after ",
                                                      absl::FormatDuration(cluster_.start_within),
                                                      " (cluster.start_within): ", readiness.doing()));
    }
    absl::MutexLock lock(&mutex_);
    mutex_.AwaitWithTimeout(absl::Condition(&stopping_), absl::Milliseconds(50));
  }
  absl::MutexLock lock(&mutex_);
  url_ = readiness.url();
  return absl::OkStatus();
}

void LocalDriver::Supervise() {
  absl::MutexLock lock(&mutex_);
  for (Child& child : children_) StartChild(child);
  while (!stopping_) {
    Tick(clock_.Now());
    Publish();
    mutex_.AwaitWithTimeout(absl::Condition(&stopping_), kTick);
  }
  EndAll(true, kStopGrace);
  EndAll(false, kStopGrace);
}

void LocalDriver::StartChild(Child& child) {
  unlink(folder_.Addresses(child.plan.name).c_str());
  child.reported = false;
  child.record.grpc.clear();
  child.record.http.clear();
  child.restart_after = cluster_.restart_after;
  child.kill_at = absl::InfiniteFuture();
  changed_ = true;
  const auto started = ctl::Spawn({child.plan.command, folder_.Log(child.plan.name), true, SIGKILL});
  child.record.state = started.ok() ? "running" : "failed";
  if (started.ok())
    child.record.id = *started;
  else
    child.record.last_exit = std::string(started.status().message());
}

void LocalDriver::Tick(MonoTime now) {
  for (Child& child : children_) {
    int wait_status = 0;
    const pid_t pid = child.record.id.pid;
    if (pid != 0 && waitpid(pid, &wait_status, WNOHANG) == pid) OnEnd(child, wait_status, now);
    if (child.record.id.pid != 0 && now >= child.kill_at) kill(child.record.id.pid, SIGKILL);
    if (!stopping_ && child.record.state == "restarting" && now >= child.start_at) {
      ++child.record.restarts;
      StartChild(child);
    }
    if (child.record.state == "running" && !child.reported) ReadAddresses(child);
  }
}

void LocalDriver::ReadAddresses(Child& child) {
  const auto text = ctl::ReadFile(folder_.Addresses(child.plan.name));
  const auto addresses = text.ok() ? ctl::ParseAddresses(*text) : text.status();
  if (!addresses.ok()) return;
  child.reported = changed_ = true;
  child.record.grpc = addresses->grpc;
  child.record.http = addresses->http;
  if (child.plan.role == "router") PinPort(child.plan, addresses->http);
}

void LocalDriver::OnEnd(Child& child, int wait_status, MonoTime now) {
  child.record.id = {};
  child.record.last_exit = ctl::DescribeExit(wait_status);
  child.record.grpc.clear();
  child.record.http.clear();
  child.record.state =
      stopping_ || child.restart_after == absl::InfiniteDuration() ? "stopped" : "restarting";
  child.start_at = now + child.restart_after;
  changed_ = true;
}

void LocalDriver::Publish() {
  if (!changed_) return;
  changed_ = false;
  ctl::ClusterRecord record{{getpid(), ctl::StartTimeOf(getpid())}, {}};
  std::string workers;
  for (const Child& child : children_) {
    record.processes.push_back(child.record);
    const bool worker = child.plan.role == "prefill" || child.plan.role == "decode";
    if (worker && !child.record.grpc.empty()) absl::StrAppend(&workers, child.record.grpc, "\n");
  }
  absl::Status written = ctl::WriteFileAtomically(folder_.Cluster(), ctl::ToJson(record));
  if (workers != workers_written_) {
    written.Update(ctl::WriteFileAtomically(folder_.Workers(), workers));
    workers_written_ = workers;
  }
  changed_ = !written.ok();
}

void LocalDriver::EndAll(bool router, absl::Duration grace) {
  const MonoTime deadline = clock_.Now() + grace;
  const auto concerned = [router](const Child& child) {
    return (child.plan.role == "router") == router && child.record.id.pid != 0;
  };
  for (Child& child : children_) {
    if (!concerned(child)) continue;
    kill(child.record.id.pid, SIGCONT);
    kill(child.record.id.pid, SIGTERM);
    child.kill_at = deadline;
  }
  const bool never = false;
  while (std::any_of(children_.begin(), children_.end(), concerned)) {
    Tick(clock_.Now());
    mutex_.AwaitWithTimeout(absl::Condition(&never), kTick);
  }
}

absl::Status LocalDriver::Stop() {
  {
    absl::MutexLock lock(&mutex_);
    stopping_ = true;
  }
  if (supervisor_.joinable()) supervisor_.join();
  networks_.reset();
  disk_.reset();
  std::error_code error;
  if (!std::filesystem::exists(folder_.path(), error)) return absl::OkStatus();
  std::filesystem::create_directories(log_dir_, error);
  for (const std::string& name : ProcessNames(cluster_)) {
    std::filesystem::copy_file(folder_.Log(name), absl::StrCat(log_dir_, "/", name, ".log"),
                               std::filesystem::copy_options::overwrite_existing, error);
  }
  std::filesystem::remove_all(folder_.path(), error);
  return error ? absl::UnavailableError(absl::StrCat(folder_.path(), " is left: ", error.message()))
               : absl::OkStatus();
}

std::string LocalDriver::url() const {
  absl::MutexLock lock(&mutex_);
  return url_;
}

std::vector<ProcessView> LocalDriver::Processes() {
  absl::MutexLock lock(&mutex_);
  std::vector<ProcessView> views;
  for (const Child& child : children_) {
    const ctl::ProcessRecord& record = child.record;
    views.push_back({record.name, record.role, record.http, record.grpc,
                     absl::StrCat(log_dir_, "/", record.name, ".log"), record.id.pid != 0, record.restarts,
                     record.last_exit});
  }
  return views;
}

absl::StatusOr<std::string> LocalDriver::Get(const std::string& process, const std::string& path) {
  std::string address;
  {
    absl::MutexLock lock(&mutex_);
    BATON_ASSIGN_OR_RETURN(const Child* child, Find(process));
    address = child->record.http;
  }
  if (address.empty()) return absl::UnavailableError(absl::StrCat(process, " is down"));
  BATON_ASSIGN_OR_RETURN(const ctl::HttpResponse response,
                         ctl::Fetch({absl::StrCat("http://", address, path), "", kAskTimeout}));
  if (response.code == 200) return response.body;
  return absl::UnavailableError(absl::StrCat(process, " answers ", response.code, " to ", path));
}

absl::Status LocalDriver::Signal(const std::string& process, int signal) {
  absl::MutexLock lock(&mutex_);
  BATON_ASSIGN_OR_RETURN(const Child* child, Find(process));
  if (child->record.id.pid == 0) return absl::FailedPreconditionError(absl::StrCat(process, " is down"));
  kill(child->record.id.pid, signal);
  return absl::OkStatus();
}

absl::Status LocalDriver::End(const std::string& process, int signal, absl::Duration restart_after,
                              absl::Duration kill_after) {
  absl::MutexLock lock(&mutex_);
  BATON_ASSIGN_OR_RETURN(Child* const child, Find(process));
  if (child->record.id.pid == 0) return absl::FailedPreconditionError(absl::StrCat(process, " is down"));
  child->restart_after = restart_after;
  child->kill_at = clock_.Now() + kill_after;
  kill(child->record.id.pid, signal);
  return absl::OkStatus();
}

absl::Status LocalDriver::SetNetwork(const std::vector<NetworkFault>& faults) {
  absl::MutexLock lock(&mutex_);
  if (networks_) return networks_->Apply(faults);
  return absl::FailedPreconditionError("the processes share one network: cluster.own_networks");
}

absl::Status LocalDriver::SetDisk(const std::string& process, const DiskFault& fault) {
  absl::MutexLock lock(&mutex_);
  BATON_RETURN_IF_ERROR(Find(process).status());
  if (process != "kv" || disk_ == nullptr) return absl::FailedPreconditionError("there is no disk tier");
  return disk_->Set(fault);
}

absl::StatusOr<LocalDriver::Child*> LocalDriver::Find(const std::string& process) {
  for (Child& child : children_) {
    if (child.plan.name == process) return &child;
  }
  return absl::NotFoundError(absl::StrCat("there is no process ", process));
}

}  // namespace baton::chaos
