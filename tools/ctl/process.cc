#include "tools/ctl/process.h"

#include <fcntl.h>
#include <signal.h>
#include <sys/prctl.h>
#include <sys/wait.h>
#include <unistd.h>

#include <cerrno>
#include <cstring>

#include "absl/strings/numbers.h"
#include "absl/strings/str_cat.h"
#include "absl/strings/str_split.h"
#include "tools/ctl/files.h"

namespace baton::ctl {
namespace {

sigset_t SetOf(const std::vector<int>& signals) {
  sigset_t set;
  sigemptyset(&set);
  for (const int signal : signals) sigaddset(&set, signal);
  return set;
}

// Between fork and exec: only calls that are safe there. Returns only if exec failed.
void BecomeChild(const SpawnOptions& options, char* const* argv, pid_t parent) {
  sigset_t none;
  sigemptyset(&none);
  sigprocmask(SIG_SETMASK, &none, nullptr);
  if (options.new_session) setsid();
  if (options.signal_when_parent_dies != 0) {
    prctl(PR_SET_PDEATHSIG, options.signal_when_parent_dies);
    if (getppid() != parent) _exit(127);
  }
  const int input = open("/dev/null", O_RDONLY);
  const int output = open(options.log.c_str(), O_WRONLY | O_CREAT | O_APPEND, 0600);
  if (input < 0 || output < 0) return;
  dup2(input, 0);
  dup2(output, 1);
  dup2(output, 2);
  if (input > 2) close(input);
  if (output > 2) close(output);
  execv(argv[0], argv);
}

}  // namespace

uint64_t ParseStartTime(const std::string& stat_line) {
  const size_t name_end = stat_line.rfind(')');
  if (name_end == std::string::npos) return 0;
  const std::vector<std::string> fields =
      absl::StrSplit(stat_line.substr(name_end + 1), ' ', absl::SkipEmpty());
  constexpr size_t kState = 0, kStartTime = 19;  // fields 3 and 22, counted from the one after the name
  uint64_t start = 0;
  if (fields.size() <= kStartTime || fields[kState] == "Z" || fields[kState] == "X") return 0;
  return absl::SimpleAtoi(fields[kStartTime], &start) ? start : 0;
}

uint64_t StartTimeOf(pid_t pid) {
  const auto line = ReadFile(absl::StrCat("/proc/", pid, "/stat"));
  return line.ok() ? ParseStartTime(*line) : 0;
}

bool IsAlive(const ProcessId& process) {
  return process.pid > 0 && process.start_time != 0 && StartTimeOf(process.pid) == process.start_time;
}

void Signal(const ProcessId& process, int signal) {
  if (IsAlive(process)) kill(process.pid, signal);
}

absl::StatusOr<ProcessId> Spawn(const SpawnOptions& options) {
  if (access(options.command.front().c_str(), X_OK) != 0) {
    return absl::NotFoundError(absl::StrCat("cannot run ", options.command.front(), ": ", strerror(errno)));
  }
  std::vector<char*> argv;
  for (const std::string& word : options.command) argv.push_back(const_cast<char*>(word.c_str()));
  argv.push_back(nullptr);
  const pid_t parent = getpid();
  const pid_t pid = fork();
  if (pid < 0) return absl::ErrnoToStatus(errno, "cannot start a process");
  if (pid == 0) {
    BecomeChild(options, argv.data(), parent);
    _exit(127);
  }
  return ProcessId{pid, StartTimeOf(pid)};
}

std::string DescribeExit(int wait_status) {
  if (WIFSIGNALED(wait_status)) {
    const int signal = WTERMSIG(wait_status);
    return absl::StrCat("was killed by signal ", signal, " (", strsignal(signal), ")");
  }
  return absl::StrCat("exited with ", WEXITSTATUS(wait_status));
}

bool SignalIsPending(const std::vector<int>& signals) {
  sigset_t pending;
  sigpending(&pending);
  for (const int signal : signals) {
    if (sigismember(&pending, signal) == 1) return true;
  }
  return false;
}

void BlockSignals(const std::vector<int>& signals) {
  const sigset_t set = SetOf(signals);
  sigprocmask(SIG_BLOCK, &set, nullptr);
}

int WaitForSignal(const std::vector<int>& signals, absl::Duration at_most) {
  const sigset_t set = SetOf(signals);
  const timespec limit = absl::ToTimespec(at_most);
  const int signal = sigtimedwait(&set, nullptr, &limit);
  return signal < 0 ? 0 : signal;
}

}  // namespace baton::ctl
