#pragma once

// Errors as OpenAI's API shows them: an HTTP status and {"error":{"message","type","param","code"}}.

#include <string>

#include "absl/status/status.h"
#include "absl/strings/string_view.h"

namespace baton::router {

struct ApiError {
  int status = 500;
  std::string type = "server_error";
  std::string message;
  std::string param;      // empty: null
  std::string code;       // empty: null
  int retry_after_s = 0;  // 0: no Retry-After

  std::string ToJson() const;
};

ApiError InvalidRequest(absl::string_view message, absl::string_view param, absl::string_view code = "");
// For what the HTTP server refuses by itself: the type and code that belong to `status`.
ApiError ErrorForHttpStatus(int status, absl::string_view message);
// What a stream's failure means to the client.
ApiError ErrorForStatus(const absl::Status& status);

}  // namespace baton::router
