// One process of the fault tests: flags, standard input and output around a Party (party.h).

#include <spdlog/sinks/stdout_sinks.h>
#include <spdlog/spdlog.h>
#include <sys/prctl.h>
#include <unistd.h>

#include <cerrno>
#include <csignal>
#include <cstdio>
#include <iostream>
#include <memory>
#include <string>
#include <thread>
#include <utility>
#include <vector>

#include "absl/flags/flag.h"
#include "absl/flags/parse.h"
#include "absl/flags/usage.h"
#include "common/mutex.h"
#include "services/kv_transfer/transport/fast_wire.h"
#include "tests/faults/party.h"

ABSL_FLAG(std::string, name, "", "of this party across its lives: its new epoch ends what the old one read");
ABSL_FLAG(std::string, bind, "tcp://127.0.0.1:0", "where peers reach it");
ABSL_FLAG(std::string, wire, "zmq", "of the bytes: shm, ucx, tcp or zmq");
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

// Lines from standard input, read by a thread of its own, which wakes the wire for each.
class Lines {
 public:
  explicit Lines(Transport* wire) : thread_([this, wire] { Read(wire); }) {}
  ~Lines() { thread_.join(); }  // the input has ended, or said that it does

  std::vector<std::string> Take() {
    MutexLock lock(&mutex_);
    return std::exchange(lines_, {});
  }

 private:
  void Read(Transport* wire) {
    std::string line;
    while (line != "quit" && std::getline(std::cin, line)) Put(line, wire);
    if (line != "quit") Put("quit", wire);
  }
  void Put(const std::string& line, Transport* wire) {
    {
      MutexLock lock(&mutex_);
      lines_.push_back(line);
    }
    wire->Wake();
  }

  Mutex mutex_;
  std::vector<std::string> lines_ ABSL_GUARDED_BY(mutex_);
  std::thread thread_;
};

absl::Status Main() {
  Party::Options options;
  options.handoff.name = absl::GetFlag(FLAGS_name);
  options.handoff.fingerprint = "faults";
  options.handoff.lease = absl::GetFlag(FLAGS_lease);
  options.handoff.fence_timeout = absl::GetFlag(FLAGS_fence_timeout);
  options.step_time = absl::GetFlag(FLAGS_step_time);
  options.attend_time = absl::GetFlag(FLAGS_attend_time);

  const SteadyClock clock;
  const auto pages = GuardedPages::Create(absl::GetFlag(FLAGS_pages));
  if (!pages.ok()) return pages.status();
  const auto choice = ParseWireChoice(absl::GetFlag(FLAGS_wire));
  if (!choice.ok()) return choice.status();
  FastWireOptions wires;
  wires.zmq.bind = absl::GetFlag(FLAGS_bind);
  wires.choice = *choice;
  wires.shared = {(*pages)->shared()};
  const auto wire = NewFastWire(wires, &clock);
  if (!wire.ok()) return wire.status();
  const auto party = Party::Create(options, pages->get(), wire->get(), &clock, Print);
  if (!party.ok()) return party.status();

  Lines lines(wire->get());
  while (!(*party)->done()) {
    for (const std::string& line : lines.Take()) {
      const absl::Status status = (*party)->Command(line);
      if (!status.ok()) std::fprintf(stderr, "%s\n", status.ToString().c_str());
    }
    if (!(*party)->done()) (*party)->Step(kLongestWait);
  }
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
  const absl::Status status = baton::faults::Main();
  if (status.ok()) return 0;
  std::fprintf(stderr, "fault_party: %s\n", status.ToString().c_str());
  return 1;
}
