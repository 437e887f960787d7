#include <boost/json.hpp>
#include <cstdio>

#include "absl/strings/str_cat.h"
#include "absl/strings/str_format.h"
#include "common/status_macros.h"
#include "tools/ctl/commands.h"
#include "tools/ctl/server.h"
#include "tools/ctl/stream_list.h"
#include "tools/ctl/table.h"

namespace baton::ctl {
namespace {

constexpr absl::Duration kMoveTime = absl::Seconds(60);

absl::StatusOr<std::string> FetchStreams(const Server& server) {
  BATON_ASSIGN_OR_RETURN(HttpResponse response, Fetch(server.Request("/baton/streams")));
  BATON_RETURN_IF_ERROR(CheckAnswer(server, response));
  return std::move(response.body);
}

int FailWith(const absl::Status& status) {
  Fail(std::string(status.message()));
  return absl::IsNotFound(status) ? 3 : 1;
}

}  // namespace

int Streams(const Surroundings& here, const StatusOptions& options) {
  const auto server = FindServer(here, options.name, options.server);
  if (!server.ok()) return FailWith(server.status());
  const auto streams = FetchStreams(*server);
  if (!streams.ok()) return Fail(std::string(streams.status().message()));
  absl::PrintF("%s", options.json ? *streams + "\n" : FormatTable(StreamRows(*streams)));
  return 0;
}

int Migrate(const Surroundings& here, const MigrateOptions& options) {
  const auto server = FindServer(here, options.name, options.server);
  if (!server.ok()) return FailWith(server.status());
  const auto streams = FetchStreams(*server);
  if (!streams.ok()) return Fail(std::string(streams.status().message()));
  const auto stream = FindStream(*streams, options.stream);
  if (!stream.ok()) return Fail(std::string(stream.status().message()));
  const std::string body =
      boost::json::serialize(boost::json::object{{"stream", *stream}, {"to", options.to}});
  const auto answer = Fetch(server->Request("/baton/migrate", body, kMoveTime));
  if (!answer.ok()) return Fail(std::string(answer.status().message()));
  if (const absl::Status moved = CheckAnswer(*server, *answer); !moved.ok())
    return Fail(absl::StrCat("not moved: ", moved.message()));
  absl::PrintF("%s\n", MoveLine(answer->body));
  return 0;
}

}  // namespace baton::ctl
