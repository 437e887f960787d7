#pragma once

// HTTP/1.1 requests to the processes of a cluster. Each call has a deadline; a Ctrl-C ends a stream by
// closing the connection.

#include <functional>
#include <string>

#include "absl/status/statusor.h"
#include "absl/strings/string_view.h"
#include "absl/time/time.h"

namespace baton::ctl {

struct Url {
  std::string host, port, path;
  bool tls = false;
};
// "http[s]://host[:port][/path]" or "host:port", which is plain. INVALID_ARGUMENT for anything else.
absl::StatusOr<Url> ParseUrl(const std::string& text);

struct HttpRequest {
  std::string url;
  std::string body;                           // empty: GET; otherwise a POST of JSON
  absl::Duration timeout = absl::Seconds(5);  // of each read, and of the connect
  std::function<bool()> given_up = nullptr;   // asked now and then; true: the call ends as CANCELLED
  std::string api_key = "";                   // sent as a bearer token; empty: none
  std::string cacert = "";                    // of https: PEM file of authorities; empty: the system's
};

struct HttpResponse {
  int code = 0;
  std::string body;
};

// UNAVAILABLE if nobody answers, DEADLINE_EXCEEDED if too late, FAILED_PRECONDITION if TLS does not come
// about (a certificate of an unknown authority or another name), with what to do about it. Any status code is
// a response.
absl::StatusOr<HttpResponse> Fetch(const HttpRequest& request);

// As Fetch, but hands over each piece of a 200 response's body as it comes (the returned body is then empty).
// Stops quietly when `on_data` returns false.
absl::StatusOr<HttpResponse> FetchStream(const HttpRequest& request,
                                         const std::function<bool(absl::string_view)>& on_data);

}  // namespace baton::ctl
