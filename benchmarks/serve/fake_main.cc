// fake_endpoint: answers OpenAI streams on a fixed schedule, until it is told to end.

#include <csignal>
#include <cstdio>

#include "absl/flags/flag.h"
#include "absl/flags/parse.h"
#include "absl/flags/usage.h"
#include "benchmarks/serve/fake_endpoint.h"

ABSL_FLAG(int, port, 0, "on 127.0.0.1; 0: any free one, which it prints");
ABSL_FLAG(absl::Duration, ttft, absl::Milliseconds(50), "from the request to the first token");
ABSL_FLAG(absl::Duration, itl, absl::Milliseconds(20), "between tokens");
ABSL_FLAG(int64_t, tokens, 0, "of each stream; 0: as many as are asked for");

int main(int argc, char** argv) {
  absl::SetProgramUsageMessage("answers OpenAI streams on a fixed schedule: --ttft, --itl, --tokens, --port");
  absl::ParseCommandLine(argc, argv);
  sigset_t ends;
  sigemptyset(&ends);
  sigaddset(&ends, SIGINT);
  sigaddset(&ends, SIGTERM);
  pthread_sigmask(SIG_BLOCK, &ends, nullptr);
  signal(SIGPIPE, SIG_IGN);
  const baton::load::FakeSchedule schedule{absl::GetFlag(FLAGS_ttft), absl::GetFlag(FLAGS_itl),
                                           absl::GetFlag(FLAGS_tokens)};
  const auto server = baton::load::FakeEndpoint::Start(schedule, absl::GetFlag(FLAGS_port));
  if (!server.ok()) {
    std::fprintf(stderr, "fake_endpoint: %s\n", std::string(server.status().message()).c_str());
    return 1;
  }
  std::printf("http://127.0.0.1:%d\n", (*server)->port());
  std::fflush(stdout);
  int signal_number = 0;
  sigwait(&ends, &signal_number);
  return 0;
}
