#include "tools/chaos/remote_driver.h"

#include <signal.h>

#include <filesystem>

#include "absl/strings/match.h"
#include "absl/strings/str_cat.h"
#include "common/status_macros.h"
#include "tools/chaos/schedule.h"
#include "tools/ctl/files.h"
#include "tools/ctl/http.h"

namespace baton::chaos {
namespace {

constexpr absl::Duration kAskTimeout = absl::Seconds(2);
constexpr absl::Duration kLook = absl::Milliseconds(300);

}  // namespace

RemoteDriver::RemoteDriver(const Scenario& scenario, std::unique_ptr<RemoteCommands> commands, Run run,
                           std::string log_dir)
    : deployment_(scenario.deployment),
      names_(ProcessNames(scenario.cluster)),
      commands_(std::move(commands)),
      run_(std::move(run)),
      log_dir_(std::move(log_dir)) {}

RemoteDriver::~RemoteDriver() {
  (void)SetNetwork({});
}

absl::Status RemoteDriver::Start(const std::function<void(const std::string&)>& doing,
                                 const std::function<bool()>&) {
  doing(absl::StrCat("asking ", deployment_.url));
  if (deployment_.url.empty())
    return absl::InvalidArgumentError("deployment.url must say where the router is to be reached from here");
  BATON_ASSIGN_OR_RETURN(const ctl::HttpResponse response,
                         ctl::Fetch({deployment_.url + "/v1/models", "", kAskTimeout}));
  if (response.code == 200) return absl::OkStatus();
  return absl::UnavailableError(absl::StrCat(deployment_.url, "/v1/models answers ", response.code));
}

absl::Status RemoteDriver::Stop() {
  BATON_RETURN_IF_ERROR(SetNetwork({}));
  std::error_code error;
  std::filesystem::create_directories(log_dir_, error);
  for (const std::string& name : names_) {
    const auto log = run_(commands_->Log(name));
    if (log.ok())
      BATON_RETURN_IF_ERROR(ctl::WriteFileAtomically(absl::StrCat(log_dir_, "/", name, ".log"), *log));
  }
  return absl::OkStatus();
}

std::vector<ProcessView> RemoteDriver::Processes() {
  StartWhatEnded();
  std::vector<ProcessView> views;
  for (const std::string& name : names_) {
    absl::MutexLock lock(&mutex_);
    const auto ended = down_.find(name);
    const bool down = ended != down_.end();
    views.push_back({name, RoleOf(name), down ? "" : name, "", absl::StrCat(log_dir_, "/", name, ".log"),
                     !down, ended_[name] - (down ? 1 : 0), "",
                     down && ended->second.restart_after == absl::InfiniteDuration()});
  }
  return views;
}

absl::StatusOr<std::string> RemoteDriver::Get(const std::string& process, const std::string& path) {
  if (RoleOf(process) != "router") return run_(commands_->Get(process, path));
  BATON_ASSIGN_OR_RETURN(const ctl::HttpResponse response,
                         ctl::Fetch({deployment_.url + path, "", kAskTimeout}));
  if (response.code == 200) return response.body;
  return absl::UnavailableError(absl::StrCat(process, " answers ", response.code, " to ", path));
}

absl::Status RemoteDriver::Signal(const std::string& process, int signal) {
  BATON_ASSIGN_OR_RETURN(const std::vector<Command> commands, commands_->Signal(process, signal));
  return RunAll(commands);
}

absl::Status RemoteDriver::End(const std::string& process, int signal, absl::Duration restart_after,
                               absl::Duration kill_after) {
  BATON_RETURN_IF_ERROR(RunAll(commands_->End(process, signal)));
  const MonoTime now = clock_.Now();
  absl::MutexLock lock(&mutex_);
  down_[process] = {restart_after, now + kill_after, now, std::nullopt};
  ++ended_[process];
  return absl::OkStatus();
}

absl::Status RemoteDriver::SetNetwork(const std::vector<NetworkFault>& faults) {
  std::vector<NetworkFault> before;
  {
    absl::MutexLock lock(&mutex_);
    before = network_;
  }
  BATON_ASSIGN_OR_RETURN(const std::vector<Command> commands, commands_->SetNetwork(before, faults));
  absl::MutexLock lock(&mutex_);
  network_ = faults;
  return RunAll(commands);
}

absl::Status RemoteDriver::SetDisk(const std::string&, const DiskFault& fault) {
  if (fault.delay_ms == 0 && !fault.full) return absl::OkStatus();
  return absl::UnimplementedError("disks are slowed and filled on local processes only (--driver local)");
}

absl::Status RemoteDriver::RunAll(const std::vector<Command>& commands) {
  for (const Command& command : commands) BATON_RETURN_IF_ERROR(run_(command).status());
  return absl::OkStatus();
}

void RemoteDriver::StartWhatEnded() {
  std::vector<std::string> due;
  {
    absl::MutexLock lock(&mutex_);
    const MonoTime now = clock_.Now();
    for (auto& [name, ended] : down_) {
      if (ended.restart_after == absl::InfiniteDuration() || now < ended.look_at) continue;
      ended.look_at = absl::InfiniteFuture();  // no other thread looks meanwhile
      due.push_back(name);
    }
  }
  for (const std::string& name : due) GoOn(name);
}

void RemoteDriver::GoOn(const std::string& name) {
  const std::optional<Command> asks = commands_->Running(name);
  bool running = false;
  if (asks) {
    const auto said = run_(*asks);
    running = !said.ok() || absl::StartsWith(*said, "true");  // what does not answer is asked again
  }
  const MonoTime now = clock_.Now();
  bool kill = false;
  {
    absl::MutexLock lock(&mutex_);
    Ended& ended = down_[name];
    ended.look_at = now + kLook;
    kill = running && now >= ended.kill_at;
    if (kill) ended.kill_at = absl::InfiniteFuture();
    if (!running && !ended.start_at) ended.start_at = now + ended.restart_after;
    if (!kill && (running || now < *ended.start_at)) return;
    if (!kill) ended.look_at = absl::InfiniteFuture();
  }
  if (kill) {
    (void)RunAll(commands_->End(name, SIGKILL));
    return;
  }
  const bool started = RunAll(commands_->StartAgain(name)).ok();
  absl::MutexLock lock(&mutex_);
  if (started)
    down_.erase(name);
  else
    down_[name].look_at = now + kLook;
}

}  // namespace baton::chaos
