#include "tools/ctl/readiness.h"

#include <boost/json.hpp>

#include "absl/strings/str_cat.h"
#include "absl/strings/str_join.h"
#include "tools/ctl/files.h"
#include "tools/ctl/server.h"
#include "tools/ctl/table.h"

namespace baton::ctl {
namespace {

// Long enough that a prefill worker reads it: short prompts go straight to a decode worker.
std::string LongPrompt() {
  std::string prompt;
  for (int i = 0; i < 12; ++i) prompt += "One runner hands the baton to the next. ";
  return prompt;
}

}  // namespace

absl::StatusOr<bool> Readiness::Look() {
  if (!IsAlive(supervisor_)) {
    died_ = "supervisor";
    return absl::AbortedError("the supervisor ended");
  }
  const auto record = ReadRecord(folder_);
  if (!record.ok() || !(record->supervisor == supervisor_)) {
    doing_ = "starting the processes";
    return false;
  }
  if (const absl::Status dead = FindDead(*record); !dead.ok()) return dead;
  const ProcessRecord* waiting_for = nullptr;
  for (const ProcessRecord& process : record->processes) {
    if (!IsReady(process) && waiting_for == nullptr && process.role != "router") waiting_for = &process;
  }
  if (waiting_for != nullptr) {
    const auto lines = LastLines(folder_.Log(waiting_for->name), 1);
    doing_ = absl::StrCat(ready_.empty() ? "" : absl::StrCat(absl::StrJoin(ready_, ", "), " ready; "),
                          "waiting for ", waiting_for->name, lines.empty() ? "" : ": ",
                          lines.empty() ? "" : Shorten(lines[0], 90));
    return false;
  }
  return TryRequest(*record);
}

absl::Status Readiness::FindDead(const ClusterRecord& record) {
  for (const ProcessRecord& process : record.processes) {
    if (process.restarts == 0 && process.state == "running") continue;
    died_ = process.name;
    return absl::AbortedError(absl::StrCat(process.name, " ", process.last_exit, " before it was ready"));
  }
  return absl::OkStatus();
}

bool Readiness::IsReady(const ProcessRecord& process) {
  if (ready_.count(process.name) > 0) return true;
  if (process.http.empty()) return false;
  const auto response = Fetch({absl::StrCat("http://", process.http, "/readyz"), "", absl::Seconds(2)});
  if (!response.ok() || response->code != 200) return false;
  ready_.insert(process.name);
  return true;
}

absl::StatusOr<bool> Readiness::TryRequest(const ClusterRecord& record) {
  const auto url = RouterUrl(record);
  if (!url.ok()) {
    doing_ = "workers ready; waiting for the router";
    return false;
  }
  url_ = *url;
  doing_ = "workers ready; a first request";
  const Server server{.url = url_, .api_key = api_key_};
  const auto model = ServedModel(server);
  if (absl::IsUnauthenticated(model.status())) return model.status();
  if (!model.ok()) return false;
  model_ = *model;
  const boost::json::object body{
      {"model", model_}, {"prompt", long_prompt_ ? LongPrompt() : "Hi"}, {"max_tokens", 2}};
  HttpRequest request = server.Request("/v1/completions", boost::json::serialize(body), absl::Seconds(60));
  request.given_up = interrupted_;
  const auto response = Fetch(request);
  if (response.ok() && response->code == 200) return true;
  if (response.ok() && response->code == 400) long_prompt_ = false;  // a context too small for it
  doing_ =
      absl::StrCat("workers ready; a first request was answered: ",
                   Shorten(response.ok() ? response->body : std::string(response.status().message()), 120));
  return false;
}

}  // namespace baton::ctl
