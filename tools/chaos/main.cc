// baton-chaos: runs a scenario: a cluster under load and faults, and what must hold. `./baton chaos` runs it.

#include <signal.h>
#include <unistd.h>

#include <atomic>
#include <cstdlib>
#include <filesystem>
#include <thread>

#include "absl/flags/flag.h"
#include "absl/flags/parse.h"
#include "absl/flags/usage.h"
#include "absl/strings/str_cat.h"
#include "tools/chaos/commands.h"
#include "tools/ctl/commands.h"
#include "tools/ctl/process.h"

ABSL_FLAG(std::string, variant, "", "Only this variant of the scenario.");
ABSL_FLAG(int64_t, seed, -1, "Seed of the random faults, in the place of the scenario's.");
ABSL_FLAG(std::string, replay, "",
          "A faults.json of an earlier run: these faults, whatever the scenario says.");
ABSL_FLAG(std::string, out, "", "Folder for the results (default chaos-results/NAME-TIME).");
ABSL_FLAG(std::string, json, "", "Another place to write the run record to.");
ABSL_FLAG(std::string, driver, "local", "Where the cluster runs: local, podman, docker or kubectl.");
ABSL_FLAG(bool, quick, false, "The scenario's short form: its quick: overrides.");
ABSL_FLAG(bool, shrink, false,
          "If it fails, look for a smaller schedule of faults that still makes it fail.");
ABSL_FLAG(int, shrink_runs, 20, "Runs that --shrink may take.");
ABSL_FLAG(
    std::string, oracle_dir, "",
    "Folder where reference tokens are kept from run to run (default: below XDG_CACHE_HOME or ~/.cache); "
    "none: not kept.");
ABSL_FLAG(bool, dry_run, false, "Only print the commands that would be given to podman, docker or kubectl.");
ABSL_FLAG(std::string, model, "", "GGUF file that model: default means.");
ABSL_FLAG(std::string, tiny_model, "", "GGUF file that model: tiny means.");
ABSL_FLAG(std::string, bin_dir, "", "Where baton-router and the others are (default: beside this program).");
ABSL_FLAG(std::string, commit, "unknown", "Written into the run record.");

namespace baton::chaos {
namespace {

const std::vector<int> kStopSignals = {SIGINT, SIGTERM, SIGHUP};

std::string OracleDir() {
  const std::string chosen = absl::GetFlag(FLAGS_oracle_dir);
  if (!chosen.empty()) return chosen == "none" ? "" : chosen;
  const char* cache = getenv("XDG_CACHE_HOME");
  if (cache != nullptr && *cache != '\0') return absl::StrCat(cache, "/baton/references");
  const char* home = getenv("HOME");
  return home == nullptr ? "" : absl::StrCat(home, "/.cache/baton/references");
}

ChaosOptions OptionsFromFlags() {
  ChaosOptions options;
  if (!absl::GetFlag(FLAGS_variant).empty()) options.variant = absl::GetFlag(FLAGS_variant);
  if (absl::GetFlag(FLAGS_seed) >= 0) options.seed = static_cast<uint64_t>(absl::GetFlag(FLAGS_seed));
  options.replay = absl::GetFlag(FLAGS_replay);
  options.out_dir = absl::GetFlag(FLAGS_out);
  options.json = absl::GetFlag(FLAGS_json);
  options.driver = absl::GetFlag(FLAGS_driver);
  options.quick = absl::GetFlag(FLAGS_quick);
  options.shrink = absl::GetFlag(FLAGS_shrink);
  options.most_shrink_runs = absl::GetFlag(FLAGS_shrink_runs);
  options.oracle_dir = OracleDir();
  options.dry_run = absl::GetFlag(FLAGS_dry_run);
  options.commit = absl::GetFlag(FLAGS_commit);
  options.terminal = isatty(STDERR_FILENO) == 1;
  std::error_code error;
  const std::filesystem::path self = std::filesystem::read_symlink("/proc/self/exe", error);
  LocalPaths& paths = options.paths;
  paths.bin_dir =
      absl::GetFlag(FLAGS_bin_dir).empty() ? self.parent_path().string() : absl::GetFlag(FLAGS_bin_dir);
  paths.default_model = absl::GetFlag(FLAGS_model);
  paths.tiny_model = absl::GetFlag(FLAGS_tiny_model);
  const char* home = getenv("HOME");
  if (paths.default_model.empty() && home != nullptr)
    paths.default_model = absl::StrCat(home, "/.cache/baton/models/smollm2-135m-instruct.gguf");
  const std::string slow = absl::StrCat(self.parent_path().string(), "/libbaton-slow-disk.so");
  if (std::filesystem::exists(slow, error)) paths.slow_disk = slow;
  return options;
}

int Main(const std::vector<char*>& words) {
  const std::string command = words.size() > 1 ? words[1] : "";
  if ((command != "run" && command != "schedule") || words.size() != 3) {
    ctl::Fail("baton-chaos run SCENARIO.yaml, or baton-chaos schedule SCENARIO.yaml (./baton chaos --help)");
    return 2;
  }
  ChaosOptions options = OptionsFromFlags();
  options.scenario = words[2];
  if (command == "schedule") return PrintSchedule(options);
  ctl::BlockSignals(kStopSignals);
  std::atomic<bool> interrupted = false, done = false;
  std::thread watch([&] {
    while (!done) {
      if (ctl::WaitForSignal(kStopSignals, absl::Milliseconds(100)) != 0) interrupted = true;
    }
  });
  const int status = RunScenario(options, interrupted);
  done = true;
  watch.join();
  return status;
}

}  // namespace
}  // namespace baton::chaos

int main(int argc, char** argv) {
  absl::SetProgramUsageMessage(
      "runs a scenario: a cluster under load and faults, and what must hold.\n"
      "  baton-chaos run SCENARIO.yaml [flags]\n  baton-chaos schedule SCENARIO.yaml [--seed=N]\n"
      "docs/chaos.md lists every key of a scenario.");
  return baton::chaos::Main(absl::ParseCommandLine(argc, argv));
}
