// One process of the fault tests: flags, standard input and output around a Party (party.h).

#include <fcntl.h>
#include <spdlog/sinks/stdout_sinks.h>
#include <spdlog/spdlog.h>
#include <sys/prctl.h>
#include <unistd.h>

#include <cerrno>
#include <csignal>
#include <cstdio>
#include <memory>
#include <string>

#include "absl/flags/flag.h"
#include "absl/flags/parse.h"
#include "absl/flags/usage.h"
#include "services/kv_transfer/transport/zmq_wire.h"
#include "tests/faults/party.h"

ABSL_FLAG(std::string, name, "", "of this party across its lives: its new epoch ends what the old one read");
ABSL_FLAG(std::string, bind, "tcp://127.0.0.1:0", "where peers reach it");
ABSL_FLAG(absl::Duration, lease, absl::Milliseconds(600), "an owner's lease");
ABSL_FLAG(absl::Duration, fence_timeout, absl::Seconds(2), "of reads that were given up");
ABSL_FLAG(absl::Duration, step_time, absl::Milliseconds(10), "of computing one of eight offers");
ABSL_FLAG(absl::Duration, attend_time, absl::Milliseconds(200), "that a held sequence stays in use");
ABSL_FLAG(int64_t, pages, 24, "of its pool, 8 for each sequence");

namespace baton::faults {
namespace {

constexpr absl::Duration kLongestWait = absl::Seconds(1);

void Print(const std::string& line) {
  const std::string text = line + "\n";
  size_t at = 0;
  while (at < text.size()) {
    const ssize_t wrote = write(STDOUT_FILENO, text.data() + at, text.size() - at);
    if (wrote < 0 && errno != EINTR) return;
    if (wrote > 0) at += wrote;
  }
}

// Carries out the lines that have come. False at the end of input.
bool TakeCommands(std::string* pending, Party* party) {
  char buffer[4096];
  for (;;) {
    const ssize_t got = read(STDIN_FILENO, buffer, sizeof buffer);
    if (got == 0) return false;
    if (got < 0) return errno == EAGAIN || errno == EINTR;
    pending->append(buffer, got);
    for (size_t end; (end = pending->find('\n')) != std::string::npos; pending->erase(0, end + 1)) {
      const absl::Status status = party->Command(absl::string_view(*pending).substr(0, end));
      if (!status.ok()) std::fprintf(stderr, "%s\n", status.ToString().c_str());
    }
  }
}

absl::Status Main() {
  Party::Options options;
  options.handoff.name = absl::GetFlag(FLAGS_name);
  options.handoff.fingerprint = "faults";
  options.handoff.lease = absl::GetFlag(FLAGS_lease);
  options.handoff.fence_timeout = absl::GetFlag(FLAGS_fence_timeout);
  options.step_time = absl::GetFlag(FLAGS_step_time);
  options.attend_time = absl::GetFlag(FLAGS_attend_time);

  const SteadyClock clock;
  GuardedPages pages(absl::GetFlag(FLAGS_pages));
  ZmqOptions zmq;
  zmq.bind = absl::GetFlag(FLAGS_bind);
  zmq.watch_fd = STDIN_FILENO;
  auto wire = NewZmqTransport(zmq);
  if (!wire.ok()) return wire.status();
  auto party = Party::Create(options, &pages, wire->get(), &clock, Print);
  if (!party.ok()) return party.status();

  std::string pending;
  while (!(*party)->done() && TakeCommands(&pending, party->get())) (*party)->Step(kLongestWait);
  return absl::OkStatus();
}

}  // namespace
}  // namespace baton::faults

int main(int argc, char** argv) {
  absl::SetProgramUsageMessage(
      "one process of the fault tests (tests/faults/faults.py runs them); commands on standard input: "
      "party.h");
  absl::ParseCommandLine(argc, argv);
  spdlog::set_default_logger(spdlog::stderr_logger_st("fault_party"));  // standard output is for events
  prctl(PR_SET_PDEATHSIG, SIGKILL);                                     // also while stopped
  fcntl(STDIN_FILENO, F_SETFL, fcntl(STDIN_FILENO, F_GETFL) | O_NONBLOCK);
  const absl::Status status = baton::faults::Main();
  if (status.ok()) return 0;
  std::fprintf(stderr, "fault_party: %s\n", status.ToString().c_str());
  return 1;
}
