#include <cstdio>

#include "absl/strings/str_cat.h"
#include "absl/strings/str_format.h"
#include "tools/ctl/commands.h"
#include "tools/ctl/http.h"
#include "tools/ctl/left_over.h"
#include "tools/ctl/status_table.h"
#include "tools/ctl/table.h"

namespace baton::ctl {

int Status(const Surroundings& here, const StatusOptions& options) {
  const ClusterFolder folder(here.state_root, options.name);
  const auto record = FindCluster(here, folder);
  if (absl::IsPermissionDenied(record.status())) return Fail(std::string(record.status().message()));
  if (!record.ok()) {
    Fail(absl::StrCat("no cluster named '", options.name, "' runs here: ./baton up starts one"));
    return 3;
  }
  const auto url = RouterUrl(*record);
  const auto report = url.ok() ? Fetch({*url + "/baton/status"}) : url.status();
  const std::string router_status = report.ok() && report->code == 200 ? report->body : "{}";
  if (options.json) {
    absl::PrintF("{\"cluster\":%s,\"router\":%s}\n", ToJson(*record), router_status);
  }
  if (!IsAlive(record->supervisor)) {
    Fail("the supervisor is dead: ./baton down cleans up, ./baton up starts again");
    return 3;
  }
  if (options.json) return 0;
  std::string pool_metrics;
  for (const ProcessRecord& process : record->processes) {
    if (process.role != "kv" || process.http.empty()) continue;
    const auto answer = Fetch({absl::StrCat("http://", process.http, "/metrics")});
    if (answer.ok() && answer->code == 200) pool_metrics = answer->body;
  }
  absl::PrintF("%s", FormatTable(StatusRows(*record, router_status, pool_metrics)));
  if (url.ok()) absl::PrintF("\nOpenAI API: %s/v1\n", *url);
  if (!report.ok()) absl::PrintF("The router does not answer: %s\n", report.status().message());
  return 0;
}

}  // namespace baton::ctl
