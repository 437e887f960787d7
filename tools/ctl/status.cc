#include <cstdio>

#include "absl/strings/str_cat.h"
#include "absl/strings/str_format.h"
#include "tools/ctl/commands.h"
#include "tools/ctl/left_over.h"
#include "tools/ctl/server.h"
#include "tools/ctl/status_table.h"
#include "tools/ctl/table.h"

namespace baton::ctl {

namespace {

// Of a router that runs elsewhere: what it says of its workers is all there is.
int RemoteStatus(const Server& server, bool json) {
  const auto report = Fetch(server.Request("/baton/status"));
  const absl::Status answered = report.ok() ? CheckAnswer(server, *report) : report.status();
  if (!answered.ok()) return Fail(std::string(answered.message()));
  if (json) {
    absl::PrintF("{\"cluster\":null,\"router\":%s}\n", report->body);
    return 0;
  }
  absl::PrintF("%s\nOpenAI API: %s/v1\n", FormatTable(StatusRows(ReportedBy(report->body), report->body, "")),
               server.url);
  return 0;
}

}  // namespace

int Status(const Surroundings& here, const StatusOptions& options) {
  if (!options.server.url.empty() || !options.server.cacert.empty()) {
    const auto server = FindServer(here, options.name, options.server);
    return server.ok() ? RemoteStatus(*server, options.json) : Fail(std::string(server.status().message()));
  }
  const ClusterFolder folder(here.state_root, options.name);
  const auto record = FindCluster(here, folder);
  if (absl::IsPermissionDenied(record.status())) return Fail(std::string(record.status().message()));
  if (!record.ok()) {
    Fail(absl::StrCat("no cluster named '", options.name, "' runs here: ./baton up starts one"));
    return 3;
  }
  const auto server = FindServer(here, options.name, options.server);
  const auto report = server.ok() ? Fetch(server->Request("/baton/status")) : server.status();
  const absl::Status answered = report.ok() ? CheckAnswer(*server, *report) : report.status();
  const std::string router_status = answered.ok() ? report->body : "{}";
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
  if (server.ok()) absl::PrintF("\nOpenAI API: %s/v1\n", server->url);
  if (!answered.ok()) absl::PrintF("The router does not say how its workers are: %s\n", answered.message());
  return 0;
}

}  // namespace baton::ctl
