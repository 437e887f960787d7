#include "services/router/openai/api_error.h"

#include "absl/strings/str_cat.h"
#include "services/router/openai/json_text.h"

namespace baton::router {
namespace {
std::string StringOrNull(const std::string& text) {
  return text.empty() ? "null" : JsonString(text);
}
}  // namespace

std::string ApiError::ToJson() const {
  return absl::StrCat(R"({"error":{"message":)", JsonString(message), R"(,"type":)", JsonString(type),
                      R"(,"param":)", StringOrNull(param), R"(,"code":)", StringOrNull(code), "}}");
}

ApiError InvalidRequest(absl::string_view message, absl::string_view param, absl::string_view code) {
  return {.status = 400,
          .type = "invalid_request_error",
          .message = std::string(message),
          .param = std::string(param),
          .code = std::string(code)};
}

ApiError ErrorForHttpStatus(int status, absl::string_view message) {
  ApiError error{.status = status, .message = std::string(message)};
  if (status < 500) error.type = "invalid_request_error";
  switch (status) {
    case 404:
      error.code = "not_found";
      break;
    case 429:
      error.type = "rate_limit_error";
      error.code = "rate_limit_exceeded";
      break;
    case 503:
      error.type = "service_unavailable";
      error.code = "service_unavailable";
      error.retry_after_s = 1;
      break;
    case 504:
      error.code = "timeout";
      break;
    default:
      break;
  }
  return error;
}

ApiError ErrorForStatus(const absl::Status& status) {
  const absl::string_view message = status.message();
  switch (status.code()) {
    case absl::StatusCode::kInvalidArgument:
      return InvalidRequest(message, "");
    case absl::StatusCode::kResourceExhausted: {
      ApiError error = ErrorForHttpStatus(429, message);
      error.retry_after_s = 1;
      return error;
    }
    case absl::StatusCode::kUnavailable:
    case absl::StatusCode::kFailedPrecondition:
      return ErrorForHttpStatus(503, message);
    case absl::StatusCode::kDeadlineExceeded:
      return ErrorForHttpStatus(504, message);
    case absl::StatusCode::kNotFound:
      return ErrorForHttpStatus(404, message);
    default:
      return ErrorForHttpStatus(500, message);
  }
}

}  // namespace baton::router
