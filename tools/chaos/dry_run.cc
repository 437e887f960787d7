#include "tools/chaos/dry_run.h"

#include "absl/strings/str_cat.h"
#include "tools/chaos/fault_line.h"
#include "tools/chaos/injector.h"
#include "tools/chaos/remote_driver.h"

namespace baton::chaos {

std::string DryRun(const Scenario& scenario, const Schedule& schedule,
                   std::unique_ptr<RemoteCommands> commands) {
  std::string text;
  const RemoteCommands& composed = *commands;
  const auto print = [&text](const Command& command) -> absl::StatusOr<std::string> {
    absl::StrAppend(&text, ToShell(command), "\n");
    return std::string();
  };
  RemoteDriver driver(scenario, std::move(commands), print, "");
  Injector injector(driver);
  FaultLine line(schedule);
  while (const auto due = line.NextDue()) {
    for (const FaultStep& step : line.Take(*due)) {
      const Fault& fault = schedule.faults[step.index];
      absl::StrAppend(&text, "# ", absl::FormatDuration(*due), " ",
                      step.begins ? "" : "over: ", Describe(fault), "\n");
      if (fault.kind == FaultKind::kExhaustPages) {
        absl::StrAppend(&text, "# by long requests to ", scenario.deployment.url, "\n");
        continue;
      }
      const absl::Status done = step.begins ? injector.Begin(step.index, fault) : injector.End(step.index);
      if (!done.ok()) absl::StrAppend(&text, "# cannot be done: ", done.message(), "\n");
      if (!step.begins || !Ends(fault.kind) || fault.restart_after == absl::InfiniteDuration()) continue;
      for (const Command& command : composed.StartAgain(fault.target)) {
        absl::StrAppend(&text, "# ", absl::FormatDuration(fault.restart_after), " later\n", ToShell(command),
                        "\n");
      }
    }
  }
  return text;
}

}  // namespace baton::chaos
