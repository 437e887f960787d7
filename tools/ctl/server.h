#pragma once

// The router that chat, status, streams and migrate talk to, and what it makes of our API key.

#include <string>

#include "absl/status/statusor.h"
#include "tools/ctl/commands.h"
#include "tools/ctl/http.h"

namespace baton::ctl {

struct Server {
  std::string url;  // without a slash at its end
  std::string api_key, cacert;

  // Of `path` below the URL; an empty `body` is a GET.
  HttpRequest Request(const std::string& path, const std::string& body = "",
                      absl::Duration timeout = absl::Seconds(5)) const;
};

// The server that was named, or the router of the cluster that runs here. NOT_FOUND: none does;
// PERMISSION_DENIED: its folder is not to be trusted.
absl::StatusOr<Server> FindServer(const Surroundings& here, const std::string& cluster,
                                  const ServerOptions& options);

// OK for a 200; otherwise what the user can do about it. UNAUTHENTICATED for 401, PERMISSION_DENIED for 403.
absl::Status CheckAnswer(const Server& server, const HttpResponse& response);

// The id that GET /v1/models gives first. UNAVAILABLE if the server doesn't say.
absl::StatusOr<std::string> ServedModel(const Server& server);

}  // namespace baton::ctl
