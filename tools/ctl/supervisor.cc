#include "tools/ctl/supervisor.h"

#include <signal.h>
#include <sys/wait.h>
#include <unistd.h>

#include <algorithm>
#include <cstdio>

#include "absl/strings/match.h"
#include "absl/strings/str_cat.h"
#include "absl/time/clock.h"
#include "common/status_macros.h"
#include "tools/ctl/files.h"
#include "tools/ctl/keys.h"

namespace baton::ctl {
namespace {

const std::vector<int> kSignals = {SIGTERM, SIGINT, SIGHUP, SIGCHLD};
constexpr absl::Duration kTick = absl::Milliseconds(50);
constexpr absl::Duration kWorkerGrace = absl::Seconds(5);

// A router that was given any free port keeps the one it found: its clients know it.
void PinPort(ProcessPlan& router, const std::string& address) {
  for (std::string& word : router.command) {
    if (absl::StartsWith(word, "--listen=") && absl::EndsWith(word, ":0"))
      word = absl::StrCat(word.substr(0, word.size() - 2), address.substr(address.rfind(':')));
  }
}

}  // namespace

absl::StatusOr<Supervisor> Supervisor::Create(const ClusterFolder& folder, const ClusterSpec& spec) {
  BATON_ASSIGN_OR_RETURN(FolderLock lock, FolderLock::Take(folder));
  BATON_RETURN_IF_ERROR(WriteFileAtomically(folder.Spec(), ToJson(spec)));
  return Supervisor(std::move(lock), folder, spec);
}

Supervisor::Supervisor(FolderLock lock, const ClusterFolder& folder, const ClusterSpec& spec)
    : lock_(std::move(lock)), folder_(folder) {
  for (ProcessPlan& plan : PlanCluster(spec, folder)) {
    Child child;
    child.record.name = plan.name;
    child.record.role = plan.role;
    child.plan = std::move(plan);
    children_.push_back(std::move(child));
  }
}

absl::Status Supervisor::Run(absl::Duration grace) {
  BlockSignals(kSignals);
  if (const auto left_over = ReadRecord(folder_); left_over.ok()) {
    BATON_RETURN_IF_ERROR(StopLeftOver(*left_over, kWorkerGrace).status());
  }
  BATON_RETURN_IF_ERROR(WriteFileAtomically(folder_.Workers(), ""));
  std::vector<std::string> names;
  for (const Child& child : children_) {
    if (child.plan.role != "router") names.push_back(child.plan.name);
  }
  BATON_RETURN_IF_ERROR(MakeClusterKeys(ClusterKeys(folder_), names));
  for (Child& child : children_) Start(child);
  for (;;) {
    Publish();
    const int signal = WaitForSignal(kSignals, kTick);
    if (signal == SIGTERM || signal == SIGINT || signal == SIGHUP) break;
    Reap();
    RestartDue();
    ReadAddresses();
  }
  stopping_ = true;
  StopAll(grace);
  Publish();
  return absl::OkStatus();
}

void Supervisor::Start(Child& child) {
  unlink(folder_.Addresses(child.plan.name).c_str());
  child.reported = false;
  child.record.grpc.clear();
  child.record.http.clear();
  const MonoTime now = clock_.Now();
  child.policy.OnStart(now);
  const auto started = Spawn({child.plan.command, folder_.Log(child.plan.name), false, SIGTERM});
  changed_ = true;
  if (!started.ok()) {
    Say(absl::StrCat(child.plan.name, ": ", started.status().message()));
    child.record.state = "failed";
    child.record.last_exit = std::string(started.status().message());
    return;
  }
  child.record.id = *started;
  child.record.state = "running";
}

void Supervisor::Reap() {
  int wait_status = 0;
  for (pid_t pid = waitpid(-1, &wait_status, WNOHANG); pid > 0; pid = waitpid(-1, &wait_status, WNOHANG)) {
    for (Child& child : children_) {
      if (child.record.id.pid == pid) OnDeath(child, wait_status);
    }
  }
}

void Supervisor::OnDeath(Child& child, int wait_status) {
  child.record.id = {};
  child.record.last_exit = DescribeExit(wait_status);
  child.record.grpc.clear();
  changed_ = true;
  if (stopping_) {
    child.record.state = "stopped";
    return;
  }
  const MonoTime now = clock_.Now();
  const std::optional<absl::Duration> delay = child.policy.OnDeath(now);
  child.record.state = delay ? "restarting" : "failed";
  if (delay) child.start_at = now + *delay;
  Say(absl::StrCat(child.plan.name, " ", child.record.last_exit, "; ",
                   delay ? absl::StrCat("starting it again in ", absl::FormatDuration(*delay))
                         : "it dies again and again: not started any more"));
}

void Supervisor::RestartDue() {
  for (Child& child : children_) {
    if (child.record.state != "restarting" || clock_.Now() < child.start_at) continue;
    ++child.record.restarts;
    Start(child);
  }
}

void Supervisor::ReadAddresses() {
  for (Child& child : children_) {
    if (child.record.state != "running" || child.reported) continue;
    const auto text = ReadFile(folder_.Addresses(child.plan.name));
    if (!text.ok()) continue;
    const auto addresses = ParseAddresses(*text);
    if (!addresses.ok()) continue;
    child.reported = changed_ = true;
    child.record.grpc = addresses->grpc;
    child.record.http = addresses->http;
    if (child.plan.role == "router") PinPort(child.plan, addresses->http);
    if (child.record.restarts > 0) Say(absl::StrCat(child.plan.name, " is back"));
  }
}

void Supervisor::Publish() {
  if (!changed_) return;
  changed_ = false;
  ClusterRecord record{{getpid(), StartTimeOf(getpid())}, {}};
  std::string workers;
  for (const Child& child : children_) {
    record.processes.push_back(child.record);
    const bool worker = child.plan.role == "prefill" || child.plan.role == "decode";
    if (worker && !child.record.grpc.empty()) absl::StrAppend(&workers, child.record.grpc, "\n");
  }
  absl::Status written = WriteFileAtomically(folder_.Cluster(), ToJson(record));
  if (workers != workers_written_) {
    written.Update(WriteFileAtomically(folder_.Workers(), workers));
    workers_written_ = workers;
  }
  if (!written.ok()) {
    Say(std::string(written.message()));
    changed_ = true;
  }
}

void Supervisor::StopAll(absl::Duration grace) {
  const MonoTime deadline = clock_.Now() + grace;
  Say("draining");
  bool clean = StopRole(true, deadline);
  clean = clean && StopRole(false, std::max(deadline, clock_.Now() + kWorkerGrace));
  for (Child& child : children_) {
    if (child.record.id.pid == 0) continue;
    Say(absl::StrCat(child.plan.name, " did not end in time: killed"));
    kill(child.record.id.pid, SIGKILL);
    int wait_status = 0;
    waitpid(child.record.id.pid, &wait_status, 0);
    OnDeath(child, wait_status);
  }
  Say(clean ? "stopped" : "stopped, by force");
}

// SIGTERM to the router, or to the workers, and waits until they ended. False if the time or a second signal
// ended the wait.
bool Supervisor::StopRole(bool router, MonoTime deadline) {
  const auto concerned = [router](const Child& child) {
    return (child.plan.role == "router") == router && child.record.id.pid != 0;
  };
  for (const Child& child : children_) {
    if (concerned(child)) kill(child.record.id.pid, SIGTERM);
  }
  while (std::any_of(children_.begin(), children_.end(), concerned)) {
    if (clock_.Now() >= deadline) return false;
    const int signal = WaitForSignal(kSignals, kTick);
    if (signal == SIGTERM || signal == SIGINT) return false;
    Reap();
  }
  return true;
}

void Supervisor::Say(const std::string& what) const {
  fprintf(stderr, "%s %s\n", absl::FormatTime("%H:%M:%S", absl::Now(), absl::LocalTimeZone()).c_str(),
          what.c_str());
}

}  // namespace baton::ctl
