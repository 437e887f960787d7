#include "tools/chaos/commands.h"

#include <cstdio>
#include <filesystem>

#include "absl/strings/str_cat.h"
#include "absl/strings/str_format.h"
#include "absl/strings/str_replace.h"
#include "common/status_macros.h"
#include "tools/chaos/dry_run.h"
#include "tools/chaos/judge.h"
#include "tools/chaos/local_driver.h"
#include "tools/chaos/progress_line.h"
#include "tools/chaos/remote_driver.h"
#include "tools/chaos/send_load.h"
#include "tools/chaos/shrink.h"
#include "tools/ctl/commands.h"
#include "tools/ctl/files.h"
#include "tools/report/report.h"

namespace baton::chaos {
namespace {

int StatusOf(const absl::Status& status) {
  ctl::Fail(std::string(status.message()));
  return absl::IsCancelled(status) ? 130 : 2;
}

std::unique_ptr<Driver> MakeDriver(const ChaosOptions& options, const Scenario& scenario,
                                   const std::string& log_dir) {
  auto commands = MakeRemoteCommands(options.driver, scenario.deployment);
  if (!commands.ok()) return std::make_unique<LocalDriver>(scenario.cluster, options.paths, log_dir);
  return std::make_unique<RemoteDriver>(
      scenario, *std::move(commands), [](const Command& command) { return RunCommand(command); }, log_dir);
}

struct Setting {
  ScenarioFile file;
  ExperimentWish wish;
  ExperimentParts parts;
};

absl::StatusOr<Setting> Prepare(const ChaosOptions& options) {
  Setting setting;
  if (options.driver != "local")
    BATON_RETURN_IF_ERROR(MakeRemoteCommands(options.driver, Deployment{}).status());
  BATON_ASSIGN_OR_RETURN(setting.file, ReadScenario(options.scenario, options.quick));
  for (const Scenario& scenario : setting.file.variants) {
    const absl::Status planned = PlanLoad(scenario.load, scenario.load.rate).status();
    if (!planned.ok())
      return absl::InvalidArgumentError(absl::StrCat(options.scenario, ": load: ", planned.message()));
  }
  setting.wish.variant = options.variant;
  setting.wish.seed = options.seed;
  if (!options.replay.empty()) {
    BATON_ASSIGN_OR_RETURN(const std::string text, ctl::ReadFile(options.replay));
    auto schedule = ParseSchedule(text);
    if (!schedule.ok())
      return absl::InvalidArgumentError(absl::StrCat(options.replay, ": ", schedule.status().message()));
    setting.wish.replay = *std::move(schedule);
  }
  const std::string stamp = absl::StrReplaceAll(load::UtcNow(), {{":", ""}, {"-", ""}});
  const std::string out = options.out_dir.empty()
                              ? absl::StrCat("chaos-results/", setting.file.name, "-", stamp)
                              : options.out_dir;
  std::error_code error;
  setting.wish.out_dir = std::filesystem::absolute(out, error).string();
  setting.parts.run.make_driver = [options](const Scenario& scenario, const std::string& log_dir) {
    return MakeDriver(options, scenario, log_dir);
  };
  setting.parts.run.load = SendLoad;
  return setting;
}

absl::Status WriteResults(const ChaosOptions& options, const Setting& setting, load::RunRecord* record) {
  record->machine = load::MachineName();
  record->commit = options.commit;
  record->versions["baton"] = options.version;
  const std::string& out = setting.wish.out_dir;
  BATON_RETURN_IF_ERROR(ctl::WriteFileAtomically(out + "/scenario.yaml", setting.file.text));
  BATON_RETURN_IF_ERROR(load::WriteRunRecord(out + "/run.json", *record));
  if (!options.json.empty()) BATON_RETURN_IF_ERROR(load::WriteRunRecord(options.json, *record));
  return report::WriteReport({record, 1}, out + "/report.html");
}

// Runs smaller and smaller schedules of one variant while they fail; the smallest that did.
absl::StatusOr<Schedule> Shrink(const ChaosOptions& options, const Setting& setting, const Schedule& failing,
                                const Progress& progress, const GivenUp& given_up) {
  Shrinker shrinker(failing, options.most_shrink_runs);
  Setting smaller = setting;
  for (Scenario& scenario : smaller.file.variants) {
    scenario.repeats = 1;
    scenario.rates.clear();
  }
  while (const auto next = shrinker.Next()) {
    smaller.wish.replay = *next;
    smaller.wish.out_dir = absl::StrCat(setting.wish.out_dir, "/shrink-", shrinker.runs() + 1);
    const std::string where = absl::StrCat("shrinking, ", next->faults.size(), " faults: ");
    BATON_ASSIGN_OR_RETURN(const ExperimentOutcome outcome,
                           RunExperiment(
                               smaller.file, smaller.wish, smaller.parts,
                               [&](const std::string& text) { progress(where + text); }, given_up));
    shrinker.Report(!outcome.held);
    absl::PrintF("shrink %d: %d faults: %s\n", shrinker.runs(), next->faults.size(),
                 outcome.held ? "holds" : "fails");
    fflush(stdout);
  }
  return shrinker.smallest();
}

int ShrinkAndTell(const ChaosOptions& options, const Setting& setting, const Progress& progress,
                  const GivenUp& given_up) {
  const Scenario* scenario = nullptr;
  for (const Scenario& one : setting.file.variants) {
    if (!setting.wish.variant || one.variant == *setting.wish.variant) scenario = &one;
  }
  if (setting.file.variants.size() > 1 && !setting.wish.variant)
    return ctl::Fail("--shrink needs --variant: a schedule is shrunk for one");
  const auto failing = ScheduleOf(*scenario, setting.wish, 0);
  if (!failing.ok()) return StatusOf(failing.status());
  const auto smallest = Shrink(options, setting, *failing, progress, given_up);
  if (!smallest.ok()) return StatusOf(smallest.status());
  const std::string path = setting.wish.out_dir + "/shrunk.json";
  if (const absl::Status written = ctl::WriteFileAtomically(path, ToJson(*smallest)); !written.ok())
    return StatusOf(written);
  absl::PrintF("smallest that fails, %d of %d faults: %s\n", smallest->faults.size(), failing->faults.size(),
               path);
  for (const Fault& fault : smallest->faults)
    absl::PrintF("  %s %s\n", absl::FormatDuration(fault.at), Describe(fault));
  absl::PrintF("again:      ./baton chaos run %s --replay %s\n", options.scenario, path);
  return 1;
}

int PrintDryRun(const ChaosOptions& options, const Setting& setting) {
  for (const Scenario& scenario : setting.file.variants) {
    if (setting.wish.variant && scenario.variant != *setting.wish.variant) continue;
    const auto schedule = ScheduleOf(scenario, setting.wish, 0);
    if (!schedule.ok()) return StatusOf(schedule.status());
    auto commands = MakeRemoteCommands(options.driver, scenario.deployment);
    if (!commands.ok())
      return ctl::Fail("--dry_run shows commands for podman, docker or kubectl: choose one with --driver");
    absl::PrintF("%s", DryRun(scenario, *schedule, *std::move(commands)));
  }
  return 0;
}

}  // namespace

absl::StatusOr<std::unique_ptr<RemoteCommands>> MakeRemoteCommands(const std::string& driver,
                                                                   const Deployment& deployment) {
  if (driver == "podman" || driver == "docker")
    return std::make_unique<ContainerCommands>(driver, deployment);
  if (driver == "kubectl") return std::make_unique<KubernetesCommands>(deployment);
  return absl::InvalidArgumentError(
      absl::StrCat("--driver must be local, podman, docker or kubectl, not '", driver, "'"));
}

int RunScenario(const ChaosOptions& options, const std::atomic<bool>& interrupted) {
  auto setting = Prepare(options);
  if (!setting.ok()) return StatusOf(setting.status());
  if (options.dry_run) return PrintDryRun(options, *setting);
  ProgressLine line(options.terminal);
  const Progress progress = [&line](const std::string& text) { line.Show(text); };
  const GivenUp given_up = [&interrupted] { return interrupted.load(); };
  Judge judge(options.paths, setting->wish.out_dir, options.oracle_dir, progress, given_up);
  setting->parts.judge = [&judge](const Scenario& scenario, const Evidence& evidence,
                                  const std::string& dir) { return judge.Check(scenario, evidence, dir); };
  auto outcome = RunExperiment(setting->file, setting->wish, setting->parts, progress, given_up);
  line.End();
  if (!outcome.ok()) return StatusOf(outcome.status());
  absl::PrintF("%s", Describe(setting->file, *outcome));
  const absl::Status written = WriteResults(options, *setting, &outcome->record);
  if (!written.ok()) return StatusOf(written);
  absl::PrintF("results:    %s\n", setting->wish.out_dir);
  fflush(stdout);
  if (options.shrink && !outcome->held) return ShrinkAndTell(options, *setting, progress, given_up);
  return outcome->verdict == Verdict::kAsExpected ? 0 : outcome->verdict == Verdict::kUnexpected ? 1 : 2;
}

int PrintSchedule(const ChaosOptions& options) {
  const auto setting = Prepare(options);
  if (!setting.ok()) return StatusOf(setting.status());
  for (const Scenario& scenario : setting->file.variants) {
    if (setting->wish.variant && scenario.variant != *setting->wish.variant) continue;
    const auto schedule = ScheduleOf(scenario, setting->wish, 0);
    if (!schedule.ok()) return StatusOf(schedule.status());
    absl::PrintF("%s", ToJson(*schedule));
  }
  return 0;
}

}  // namespace baton::chaos
