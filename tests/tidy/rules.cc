#include "tests/tidy/rules.h"

#include <functional>
#include <regex>

#include "tests/tidy/functions.h"
#include "tests/tidy/layering.h"

namespace baton::tidy {
namespace {

bool Everywhere(const SourceFile&) {
  return true;
}
bool IsMain(const SourceFile& file) {
  return LayerOf(file.path) == "main";
}
// Each benchmark is a main of its own.
bool IsLibrary(const SourceFile& file) {
  return !file.IsTest() && !IsMain(file) && !StartsWith(file.path, "benchmarks/");
}

bool IsQuietLibrary(const SourceFile& file) {
  return IsLibrary(file) && !StartsWith(file.path, "tools/");
}

// Folders and files of decision classes: events and `now` in, actions out.
bool Decides(const SourceFile& file) {
  for (const char* prefix :
       {"engine/scheduler/", "engine/cache/", "engine/sampling/", "services/router/policy/",
        "services/worker/worker_core", "services/worker/attempt_table", "services/kv_transfer/handoff/owner",
        "services/kv_transfer/handoff/reader", "services/kv_transfer/pool/pool_core",
        "services/kv_transfer/pool/eviction", "services/kv_transfer/pool/frequency_sketch",
        "services/kv_transfer/pool/pool_pages", "services/kv_transfer/pool/disk",
        "services/worker/pool_planner", "services/worker/pool_breaker"}) {
    if (StartsWith(file.path, prefix)) return true;
  }
  return false;
}

struct Ban {
  const char* rule;
  std::regex pattern;
  std::function<bool(const SourceFile&)> applies;
  const char* message;
};

const std::vector<Ban>& Bans() {
  static const std::vector<Ban> kBans = {
      {"sleep", std::regex(R"(\b(sleep_for|sleep_until|usleep|nanosleep|SleepFor)\b|\bsleep\s*\()"),
       Everywhere, "wait on a condition with a deadline"},
      {"settings", std::regex(R"(\b(getenv|secure_getenv|setenv|GetFlag|ABSL_FLAG)\b)"), IsLibrary,
       "flags and environment are read in main.cc only"},
      {"volatile", std::regex(R"(\bvolatile\b)"), Everywhere,
       "it orders nothing between threads: use atomics or a lock"},
      {"exit",
       std::regex(
           R"(\b(std::exit|std::abort|std::terminate|_exit|quick_exit)\b|(^|[^\w.:>])(exit|abort)\s*\()"),
       IsLibrary, "return an absl::Status"},
      {"throw", std::regex(R"(\bthrow\b)"), IsLibrary, "return an absl::Status"},
      {"random", std::regex(R"((^|[^\w.>])(rand|srand)\s*\(|\brandom_shuffle\b)"), Everywhere,
       "use a generator with a seed"},
      {"print", std::regex(R"(\b(printf|fprintf|puts|putchar|PrintF|FPrintF)\s*\(|std::(cout|cerr|clog)\b)"),
       IsQuietLibrary, "log, or return a Status"},
      {"clock",
       std::regex(
           R"(\b(system_clock|steady_clock|high_resolution_clock|SteadyClock)\b|\babsl::Now\s*\(|\btime\s*\()"),
       Decides, "decision classes take `now` as an argument"},
      {"thread", std::regex(R"(\b(std::(thread|jthread|mutex|condition_variable|async)|absl::Mutex)\b)"),
       Decides, "decision classes have no threads and no locks"},
      {"system-clock", std::regex(R"(\bsystem_clock\b)"), IsQuietLibrary,
       "durations are measured with the steady clock"},
      {"using-namespace", std::regex(R"(\busing\s+namespace\b)"),
       [](const SourceFile& file) { return file.IsHeader(); },
       "a header must not open a namespace for others"},
  };
  return kBans;
}

void Match(const SourceFile& file, const std::string& text, const std::regex& pattern,
           const std::string& rule, const std::string& message, std::vector<Violation>& violations) {
  for (auto it = std::sregex_iterator(text.begin(), text.end(), pattern); it != std::sregex_iterator();
       ++it) {
    const size_t offset = it->position(0) + (it->str()[0] == '\n' ? 1 : 0);
    violations.push_back({rule, file.path, LineOf(text, offset), message});
  }
}

}  // namespace

std::vector<Violation> CheckBannedCode(const SourceFile& file) {
  std::vector<Violation> violations;
  if (!file.IsCpp()) return violations;
  for (const Ban& ban : Bans()) {
    if (ban.applies(file)) Match(file, file.code, ban.pattern, ban.rule, ban.message, violations);
  }
  return violations;
}

// The words are put together here, so that this file doesn't break its own rules.
std::vector<Violation> CheckText(const SourceFile& file) {
  static const std::regex kUnfinished(std::string("\\b(TO") + "DO|FIX" + "ME|XX" + "X|HA" +
                                      "CK)\\b|\\bfor no" + "w\\b");
  static const std::regex kMachine(std::string("(^|[^\\w./-])/(tm") + "p|wor" + "k|roo" + "t|hom" +
                                   "e|mnt|Users)(/|\\b)");
  static const std::regex kTrailing("[ \t\r]\n");
  std::vector<Violation> violations;
  Match(file, file.text, kUnfinished, "unfinished", "finish it, or open an issue and leave no note",
        violations);
  Match(file, file.text, kMachine, "machine-path", "names a path of one machine", violations);
  Match(file, file.text, kTrailing, "trailing-space", "ends in a space, tab or carriage return", violations);
  if (!file.text.empty() && file.text.back() != '\n') {
    violations.push_back(
        {"trailing-space", file.path, CountLines(file.text) + 1, "the last line has no end"});
  }
  return violations;
}

std::vector<Violation> CheckShape(const SourceFile& file) {
  std::vector<Violation> violations;
  if (!file.IsCpp() && !file.IsPython()) return violations;
  if (EndsWith(file.path, ".h") && !StartsWith(file.text, "#pragma once\n")) {
    violations.push_back({"pragma-once", file.path, 1, "a header starts with #pragma once"});
  }
  if (const int lines = CountLines(file.text); lines > kMostFileLines) {
    violations.push_back(
        {"file-length", file.path, 0, std::to_string(lines) + " lines: split it by subject"});
  }
  if (StartsWith(file.path, "engine/kernels/")) return violations;
  for (const Function& function : FindFunctions(file)) {
    if (function.length <= kMostFunctionLines) continue;
    violations.push_back(
        {"function-length", file.path, function.line,
         function.name + " has " + std::to_string(function.length) + " lines: split it by step"});
  }
  return violations;
}

std::vector<Violation> CheckBuilt(const std::vector<SourceFile>& files) {
  std::string lists;
  for (const SourceFile& file : files) {
    if (file.FileName() == "CMakeLists.txt") lists += file.text;
  }
  std::vector<Violation> violations;
  for (const SourceFile& file : files) {
    if (!EndsWith(file.path, ".cc")) continue;
    const std::string stem = file.FileName().substr(0, file.FileName().size() - 3);
    const std::string subject =
        EndsWith(stem, "_test") ? stem.substr(0, stem.size() - 5) : stem;  // foreach(subject ...)
    if (!std::regex_search(lists, std::regex("[\\s/(](" + stem + "|" + subject + ")(\\.cc)?[\\s)]"))) {
      violations.push_back({"not-built", file.path, 0, "no CMakeLists.txt names it"});
    }
  }
  return violations;
}

}  // namespace baton::tidy
