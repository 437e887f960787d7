#include "tests/sim/crash_note.h"

#include <unistd.h>

#include <csignal>
#include <cstdio>
#include <cstring>

namespace baton::sim {
namespace {

thread_local uint64_t running_seed = 0;
char program_name[512] = "sim_test";

void OnCrash(int signal) {
  char line[640];
  const int length =
      std::snprintf(line, sizeof(line), "\ncrashed in a seed; replay: %s --seed=%llu --trace\n", program_name,
                    static_cast<unsigned long long>(running_seed));
  if (length > 0 && running_seed != 0) (void)!write(STDERR_FILENO, line, static_cast<size_t>(length));
  std::signal(signal, SIG_DFL);
  std::raise(signal);
}

}  // namespace

CrashNote::CrashNote(uint64_t seed) {
  running_seed = seed;
}
CrashNote::~CrashNote() {
  running_seed = 0;
}

void InstallCrashHandler(const std::string& program) {
  std::snprintf(program_name, sizeof(program_name), "%s", program.c_str());
  for (const int signal : {SIGSEGV, SIGABRT, SIGFPE, SIGILL, SIGBUS}) std::signal(signal, OnCrash);
}

}  // namespace baton::sim
