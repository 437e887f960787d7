// baton-bench-kv: flags, and nothing else.
#include <spdlog/spdlog.h>

#include <cstdio>
#include <fstream>

#include "absl/flags/flag.h"
#include "absl/flags/parse.h"
#include "absl/flags/usage.h"
#include "absl/flags/usage_config.h"
#include "absl/strings/match.h"
#include "absl/strings/numbers.h"
#include "absl/strings/str_split.h"
#include "benchmarks/kv/kv_suite.h"

ABSL_FLAG(std::string, json, "", "Write the rows to this file (DESIGN section 10).");
ABSL_FLAG(std::string, html, "", "Write them to this file as a page.");
ABSL_FLAG(bool, quick, false, "Under two minutes: fewer sizes and rounds.");
ABSL_FLAG(int, rounds, 0, "Rounds of each measurement, whose medians count; 0: 15, with --quick 5.");
ABSL_FLAG(std::string, wires, "shm,tcp,ucx,zmq", "Which wires.");
ABSL_FLAG(double, memory_gb, 0, "Memory to use at most, GiB; 0: three quarters of what is free.");
ABSL_FLAG(std::string, commit, "unknown", "What the report says was measured.");

namespace baton {
namespace {

int64_t FreeBytes() {
  std::ifstream in("/proc/meminfo");
  std::string name, unit;
  int64_t kilobytes = 0;
  while (in >> name >> kilobytes >> unit) {
    if (name == "MemAvailable:") return kilobytes << 10;
  }
  return int64_t{4} << 30;
}

absl::Status Main() {
  SuiteOptions options;
  options.quick = absl::GetFlag(FLAGS_quick);
  options.rounds = absl::GetFlag(FLAGS_rounds) > 0 ? absl::GetFlag(FLAGS_rounds) : options.quick ? 5 : 15;
  for (const absl::string_view name : absl::StrSplit(absl::GetFlag(FLAGS_wires), ',', absl::SkipEmpty())) {
    const absl::StatusOr<WireChoice> wire = ParseWireChoice(name);
    if (!wire.ok()) return wire.status();
    options.wires.push_back(*wire);
  }
  const double asked = absl::GetFlag(FLAGS_memory_gb);
  options.memory_bytes = asked > 0 ? static_cast<int64_t>(asked * (1 << 30)) : FreeBytes() / 4 * 3;
  options.tell = [](const std::string& what) { std::fprintf(stderr, "baton: bench kv: %s\n", what.c_str()); };
  const std::string machine = MachineName(), commit = absl::GetFlag(FLAGS_commit);
  const auto rows = KvSuite(options).Run();
  if (!rows.ok()) return rows.status();
  std::printf("%s", KvTable(*rows).c_str());
  const std::string json = absl::GetFlag(FLAGS_json), html = absl::GetFlag(FLAGS_html);
  absl::Status written;
  if (!json.empty()) written.Update(WriteText(json, KvJson(*rows, machine, commit)));
  if (!html.empty()) written.Update(WriteText(html, KvHtml(*rows, machine, commit)));
  return written;
}

}  // namespace
}  // namespace baton

int main(int argc, char** argv) {
  absl::SetProgramUsageMessage(
      "baton-bench-kv [flags]\n\nHands keys and values from one process to another over every wire, beside "
      "what the "
      "machine does plainly.");
  absl::FlagsUsageConfig usage;
  usage.contains_help_flags = [](absl::string_view file) {
    return absl::EndsWith(file, "benchmarks/kv/bench_kv.cc");
  };
  absl::SetFlagsUsageConfig(usage);
  absl::ParseCommandLine(argc, argv);
  spdlog::set_level(spdlog::level::err);
  const absl::Status status = baton::Main();
  if (status.ok()) return 0;
  std::fprintf(stderr, "baton-bench-kv: %s\n", std::string(status.message()).c_str());
  return 1;
}
