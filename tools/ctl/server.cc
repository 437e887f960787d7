#include "tools/ctl/server.h"

#include <algorithm>
#include <boost/json.hpp>

#include "absl/strings/ascii.h"
#include "absl/strings/match.h"
#include "absl/strings/str_cat.h"
#include "absl/strings/strip.h"
#include "common/status_macros.h"
#include "tools/ctl/left_over.h"
#include "tools/ctl/sse.h"

namespace baton::ctl {

HttpRequest Server::Request(const std::string& path, const std::string& body, absl::Duration timeout) const {
  return {.url = url + path, .body = body, .timeout = timeout, .api_key = api_key, .cacert = cacert};
}

absl::StatusOr<Server> FindServer(const Surroundings& here, const std::string& cluster,
                                  const ServerOptions& options) {
  const auto visible = [](const std::string& key) {
    return std::all_of(key.begin(), key.end(), [](char c) { return absl::ascii_isgraph(c); });
  };
  Server server{.api_key = options.api_key.empty() ? here.api_key : options.api_key,
                .cacert = options.cacert};
  if (!visible(server.api_key)) return absl::InvalidArgumentError("the API key has characters that none has");
  if (!options.url.empty()) {
    server.url = std::string(absl::StripSuffix(absl::StripSuffix(options.url, "/"), "/v1"));
    if (!server.cacert.empty() && !absl::StartsWith(server.url, "https://"))
      return absl::InvalidArgumentError(absl::StrCat("--cacert is for https:// only, not ", options.url));
    return server;
  }
  if (!server.cacert.empty())
    return absl::InvalidArgumentError(
        "--cacert wants --url https://...: a cluster that runs here has no TLS");
  const auto record = FindCluster(here, ClusterFolder(here.state_root, cluster));
  if (absl::IsPermissionDenied(record.status())) return record.status();
  if (!record.ok())
    return absl::NotFoundError(
        absl::StrCat("no cluster named '", cluster, "' runs here: ./baton up starts one"));
  BATON_ASSIGN_OR_RETURN(server.url, RouterUrl(*record));
  return server;
}

absl::Status CheckAnswer(const Server& server, const HttpResponse& response) {
  if (response.code == 200) return absl::OkStatus();
  if (response.code == 401 && server.api_key.empty())
    return absl::UnauthenticatedError(
        absl::StrCat(server.url, " wants an API key: set BATON_API_KEY, or --api_key KEY (HTTP 401)"));
  if (response.code == 401)
    return absl::UnauthenticatedError(
        absl::StrCat(server.url, " does not know this API key: it may be mistyped or removed (HTTP 401)"));
  if (response.code == 403)
    return absl::PermissionDeniedError(absl::StrCat(
        server.url, " does not permit this with this API key: ", ErrorMessage(response.body),
        " (HTTP 403). status, streams and migrate want one made with ./baton keys api add --admin"));
  return absl::UnknownError(absl::StrCat(ErrorMessage(response.body), " (HTTP ", response.code, ")"));
}

absl::StatusOr<std::string> ServedModel(const Server& server) {
  namespace json = boost::json;
  BATON_ASSIGN_OR_RETURN(const HttpResponse response, Fetch(server.Request("/v1/models")));
  BATON_RETURN_IF_ERROR(CheckAnswer(server, response));
  json::error_code error;
  const json::value value = json::parse(response.body, error);
  const json::value* id = error ? nullptr : value.find_pointer("/data/0/id", error);
  if (id == nullptr || !id->is_string())
    return absl::UnavailableError(absl::StrCat("no model is served at ", server.url));
  return json::value_to<std::string>(*id);
}

}  // namespace baton::ctl
