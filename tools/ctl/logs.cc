#include <signal.h>

#include <cstdio>
#include <filesystem>
#include <set>

#include "absl/strings/str_cat.h"
#include "absl/strings/str_format.h"
#include "absl/strings/str_join.h"
#include "tools/ctl/commands.h"
#include "tools/ctl/files.h"
#include "tools/ctl/left_over.h"

namespace baton::ctl {
namespace {

std::set<std::string> LogNames(const ClusterFolder& folder) {
  std::set<std::string> names;
  std::error_code error;
  for (const auto& entry : std::filesystem::directory_iterator(folder.path(), error)) {
    if (entry.path().extension() == ".log") names.insert(entry.path().stem().string());
  }
  return names;
}

void PrintWithPrefix(const std::string& prefix, const std::vector<std::string>& lines) {
  for (const std::string& line : lines) absl::PrintF("%s%s\n", prefix, line);
}

}  // namespace

int Logs(const Surroundings& here, const LogsOptions& options) {
  const ClusterFolder folder(here.state_root, options.name);
  if (const auto cluster = FindCluster(here, folder); absl::IsPermissionDenied(cluster.status()))
    return Fail(std::string(cluster.status().message()));
  std::set<std::string> names = LogNames(folder);
  if (names.empty()) {
    Fail("no cluster runs here, so there are no logs: ./baton up starts one");
    return 3;
  }
  if (!options.process.empty()) {
    if (names.count(options.process) == 0) {
      return Fail(absl::StrCat("there is no process '", options.process, "'; there are ",
                               absl::StrJoin(names, ", ")));
    }
    names = {options.process};
  }
  size_t width = 0;
  for (const std::string& name : names) width = std::max(width, name.size());
  std::vector<std::pair<std::string, FileTail>> tails;
  for (const std::string& name : names) {
    const std::string prefix =
        names.size() == 1 ? "" : absl::StrFormat("%-*s | ", static_cast<int>(width), name);
    tails.emplace_back(prefix, FileTail(folder.Log(name), FileSize(folder.Log(name))));
    PrintWithPrefix(prefix, LastLines(folder.Log(name), options.lines));
  }
  const std::vector<int> stop = {SIGINT, SIGTERM};
  if (options.follow) BlockSignals(stop);
  while (options.follow && std::filesystem::exists(folder.path())) {
    for (auto& [prefix, tail] : tails) PrintWithPrefix(prefix, tail.ReadNewLines());
    fflush(stdout);
    if (WaitForSignal(stop, absl::Milliseconds(100)) != 0) break;
  }
  return 0;
}

}  // namespace baton::ctl
