// sim_test: without --seed, the tests; --seeds=N --first=N --threads=N say how many worlds they run.
// With --seed=N it runs that one world; --trace prints what happens in it, --mutation=M puts error M into it.

#include <cstdio>

#include <gtest/gtest.h>

#include "absl/strings/numbers.h"
#include "absl/strings/strip.h"
#include "tests/sim/crash_note.h"
#include "tests/sim/sim_args.h"

namespace baton::sim {

namespace {

int RunOne(uint64_t seed, Mutation mutation, bool trace) {
  Coverage coverage;
  const CrashNote note(seed);
  const WorldResult result = RunSeed(seed, mutation, &coverage, trace);
  std::printf("seed %llu: %llu events, %s of virtual time, %d of %d streams finished, trace hash %016llx\n",
              static_cast<unsigned long long>(seed), static_cast<unsigned long long>(result.events),
              absl::FormatDuration(result.virtual_time).c_str(), result.finished, result.streams,
              static_cast<unsigned long long>(result.trace_hash));
  if (result.failure.empty()) return 0;
  std::printf("FAILED: %s\n", result.failure.c_str());
  return 1;
}

template <typename Number>
bool Take(absl::string_view arg, absl::string_view name, Number* value, bool* bad) {
  if (!absl::ConsumePrefix(&arg, name)) return false;
  *bad = !absl::SimpleAtoi(arg, value);
  return true;
}

int Main(int argc, char** argv) {
  testing::InitGoogleTest(&argc, argv);
  SimArgs args;
  args.program = argv[0];
  InstallCrashHandler(args.program);
  uint64_t seed = 0;
  int mutation = 0;
  bool trace = false;
  for (int i = 1; i < argc; ++i) {
    const absl::string_view arg = argv[i];
    bool bad = false;
    if (arg == "--trace") {
      trace = true;
    } else if (!Take(arg, "--seed=", &seed, &bad) && !Take(arg, "--seeds=", &args.range.count, &bad) &&
               !Take(arg, "--first=", &args.range.first, &bad) &&
               !Take(arg, "--threads=", &args.range.threads, &bad) &&
               !Take(arg, "--mutation=", &mutation, &bad)) {
      bad = true;
    }
    if (bad || mutation < 0 || mutation >= kMutations || args.range.threads < 1) {
      std::fprintf(
          stderr,
          "usage: %s [--seed=N [--trace] [--mutation=1..%d]] | [--seeds=N] [--first=N] [--threads=N]\n",
          argv[0], kMutations - 1);
      return 2;
    }
  }
  if (seed != 0) return RunOne(seed, static_cast<Mutation>(mutation), trace);
  RegisterSimulatorTests(args);
  return RUN_ALL_TESTS();
}

}  // namespace
}  // namespace baton::sim

int main(int argc, char** argv) {
  return baton::sim::Main(argc, argv);
}
