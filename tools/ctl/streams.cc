#include <boost/json.hpp>
#include <cstdio>

#include "absl/strings/str_cat.h"
#include "absl/strings/str_format.h"
#include "tools/ctl/commands.h"
#include "tools/ctl/http.h"
#include "tools/ctl/left_over.h"
#include "tools/ctl/sse.h"
#include "tools/ctl/stream_list.h"
#include "tools/ctl/table.h"

namespace baton::ctl {
namespace {

constexpr absl::Duration kMoveTime = absl::Seconds(60);

absl::StatusOr<std::string> FindRouter(const Surroundings& here, const std::string& name) {
  const auto record = FindCluster(here, ClusterFolder(here.state_root, name));
  if (absl::IsPermissionDenied(record.status())) return record.status();
  if (!record.ok())
    return absl::NotFoundError(
        absl::StrCat("no cluster named '", name, "' runs here: ./baton up starts one"));
  return RouterUrl(*record);
}

absl::StatusOr<std::string> FetchStreams(const std::string& url) {
  auto response = Fetch({url + "/baton/streams"});
  if (!response.ok()) return response.status();
  if (response->code != 200)
    return absl::UnknownError(absl::StrCat(ErrorMessage(response->body), " (HTTP ", response->code, ")"));
  return response->body;
}

int FailWith(const absl::Status& status) {
  Fail(std::string(status.message()));
  return absl::IsNotFound(status) ? 3 : 1;
}

}  // namespace

int Streams(const Surroundings& here, const StatusOptions& options) {
  const auto url = FindRouter(here, options.name);
  if (!url.ok()) return FailWith(url.status());
  const auto streams = FetchStreams(*url);
  if (!streams.ok()) return Fail(std::string(streams.status().message()));
  absl::PrintF("%s", options.json ? *streams + "\n" : FormatTable(StreamRows(*streams)));
  return 0;
}

int Migrate(const Surroundings& here, const MigrateOptions& options) {
  const auto url = FindRouter(here, options.name);
  if (!url.ok()) return FailWith(url.status());
  const auto streams = FetchStreams(*url);
  if (!streams.ok()) return Fail(std::string(streams.status().message()));
  const auto stream = FindStream(*streams, options.stream);
  if (!stream.ok()) return Fail(std::string(stream.status().message()));
  const std::string body =
      boost::json::serialize(boost::json::object{{"stream", *stream}, {"to", options.to}});
  const auto answer = Fetch({*url + "/baton/migrate", body, kMoveTime});
  if (!answer.ok()) return Fail(std::string(answer.status().message()));
  if (answer->code != 200) return Fail(absl::StrCat("not moved: ", ErrorMessage(answer->body)));
  absl::PrintF("%s\n", MoveLine(answer->body));
  return 0;
}

}  // namespace baton::ctl
