#include "tools/chaos/command.h"

#include <fcntl.h>
#include <poll.h>
#include <signal.h>
#include <spawn.h>
#include <sys/socket.h>
#include <sys/wait.h>
#include <unistd.h>

#include <algorithm>
#include <cerrno>
#include <cstring>
#include <optional>

#include "absl/cleanup/cleanup.h"
#include "absl/strings/ascii.h"
#include "absl/strings/match.h"
#include "absl/strings/str_cat.h"
#include "absl/strings/str_join.h"
#include "absl/strings/str_replace.h"
#include "common/clock.h"
#include "common/file_descriptor.h"
#include "tools/ctl/process.h"

extern char** environ;

namespace baton::chaos {
namespace {

constexpr size_t kMostOutput = 16 << 20;
constexpr absl::Duration kTick = absl::Milliseconds(20);

struct Pipe {
  std::optional<FileDescriptor> read, write;

  bool Make() {
    int ends[2];
    return pipe2(ends, O_CLOEXEC) == 0 && Take(ends);
  }
  // A socket: a write to it when nobody reads any more is an error, not a signal.
  bool MakeForInput() {
    int ends[2];
    return socketpair(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC, 0, ends) == 0 && Take(ends);
  }
  bool Take(const int (&ends)[2]) {
    read.emplace(ends[0]);
    write.emplace(ends[1]);
    return true;
  }
};

std::string Quoted(const std::string& word) {
  const bool plain = !word.empty() && std::all_of(word.begin(), word.end(), [](char c) {
    return absl::ascii_isalnum(static_cast<unsigned char>(c)) || strchr("-_./:=,@+%", c) != nullptr;
  });
  return plain ? word : absl::StrCat("'", absl::StrReplaceAll(word, {{"'", "'\\''"}}), "'");
}

absl::StatusOr<pid_t> SpawnWith(const Command& command, int in, int out, int err) {
  posix_spawn_file_actions_t actions;
  posix_spawnattr_t attributes;
  posix_spawn_file_actions_init(&actions);
  posix_spawnattr_init(&attributes);
  const absl::Cleanup destroy = [&] {
    posix_spawn_file_actions_destroy(&actions);
    posix_spawnattr_destroy(&attributes);
  };
  posix_spawn_file_actions_adddup2(&actions, in, 0);
  posix_spawn_file_actions_adddup2(&actions, out, 1);
  posix_spawn_file_actions_adddup2(&actions, err, 2);
  sigset_t none;
  sigemptyset(&none);
  posix_spawnattr_setsigmask(&attributes, &none);
  posix_spawnattr_setflags(&attributes, POSIX_SPAWN_SETSIGMASK | POSIX_SPAWN_SETPGROUP);
  std::vector<char*> argv;
  for (const std::string& word : command.words) argv.push_back(const_cast<char*>(word.c_str()));
  argv.push_back(nullptr);
  pid_t pid = 0;
  const int error = posix_spawnp(&pid, argv[0], &actions, &attributes, argv.data(), environ);
  if (error == ENOENT) return absl::NotFoundError(absl::StrCat("there is no program ", argv[0], " here"));
  if (error != 0) return absl::ErrnoToStatus(error, absl::StrCat("cannot run ", argv[0]));
  return pid;
}

// Appends what there is to read; false at the end of the pipe.
bool Drain(int fd, std::string* text) {
  char buffer[4096];
  const ssize_t n = read(fd, buffer, sizeof buffer);
  if (n > 0 && text->size() < kMostOutput) text->append(buffer, static_cast<size_t>(n));
  return n > 0 || (n < 0 && (errno == EINTR || errno == EAGAIN));
}

struct Output {
  std::string out, err;
  bool in_time = false;
};

// Feeds stdin and reads the others until both are closed.
Output Exchange(const std::string& input, std::optional<FileDescriptor>& in, int out, int err,
                MonoTime deadline) {
  const SteadyClock clock;
  Output output;
  size_t written = 0;
  if (input.empty()) in.reset();
  bool more_out = true, more_err = true;
  while ((more_out || more_err) && clock.Now() < deadline) {
    const bool feeding = in.has_value();
    pollfd polled[3] = {{more_out ? out : -1, POLLIN, 0},
                        {more_err ? err : -1, POLLIN, 0},
                        {feeding ? in->get() : -1, POLLOUT, 0}};
    poll(polled, 3, static_cast<int>(absl::ToInt64Milliseconds(kTick)));
    if (polled[0].revents != 0) more_out = Drain(out, &output.out);
    if (polled[1].revents != 0) more_err = Drain(err, &output.err);
    if (feeding && polled[2].revents != 0) {
      const ssize_t n = send(in->get(), input.data() + written, input.size() - written, MSG_NOSIGNAL);
      if (n > 0) written += static_cast<size_t>(n);
      if (written == input.size() || (n < 0 && errno != EAGAIN && errno != EINTR)) in.reset();
    }
  }
  output.in_time = !more_out && !more_err;
  return output;
}

// Its wait status, killed at the deadline.
int Reap(pid_t pid, MonoTime deadline, bool* in_time) {
  const SteadyClock clock;
  int status = 0;
  for (;;) {
    const pid_t ended = waitpid(pid, &status, WNOHANG);
    if (ended == pid || (ended < 0 && errno != EINTR)) return status;
    if (clock.Now() >= deadline) {
      *in_time = false;
      kill(-pid, SIGKILL);
      waitpid(pid, &status, 0);
      return status;
    }
    poll(nullptr, 0, 1);
  }
}

}  // namespace

std::string ToShell(const Command& command) {
  const std::string line = absl::StrJoin(command.words, " ", [](std::string* out, const std::string& word) {
    absl::StrAppend(out, Quoted(word));
  });
  if (command.input.empty()) return line;
  return absl::StrCat(line, " <<'END'\n", command.input, absl::EndsWith(command.input, "\n") ? "" : "\n",
                      "END");
}

absl::StatusOr<std::string> RunCommand(const Command& command, absl::Duration at_most) {
  const SteadyClock clock;
  const MonoTime deadline = clock.Now() + at_most;
  Pipe in, out, err;
  if (!in.MakeForInput() || !out.Make() || !err.Make())
    return absl::ErrnoToStatus(errno, "cannot make a pipe");
  fcntl(in.write->get(), F_SETFL, O_NONBLOCK);
  const auto pid = SpawnWith(command, in.read->get(), out.write->get(), err.write->get());
  if (!pid.ok()) return pid.status();
  in.read.reset();
  out.write.reset();
  err.write.reset();
  Output output = Exchange(command.input, in.write, out.read->get(), err.read->get(), deadline);
  const int status = Reap(*pid, output.in_time ? deadline : clock.Now(), &output.in_time);
  const std::string name = absl::StrJoin(command.words, " ");
  if (!output.in_time)
    return absl::DeadlineExceededError(absl::StrCat(name, ": not done in ", absl::FormatDuration(at_most)));
  if (WIFEXITED(status) && WEXITSTATUS(status) == 0) return std::move(output.out);
  const std::string said(absl::StripAsciiWhitespace(output.err));
  return absl::FailedPreconditionError(absl::StrCat(name, " ", ctl::DescribeExit(status),
                                                    said.empty() ? "" : ": ",
                                                    said.substr(said.size() > 400 ? said.size() - 400 : 0)));
}

}  // namespace baton::chaos
