#pragma once

// Bodies of /v1/chat/completions and /v1/completions to ApiRequest. Pure: any bytes in, a request or an error
// out.
//
// Fields without meaning here (user, metadata, store, ...) and unknown ones are ignored; fields that would
// change the answer but are not supported are refused by name. null means absent.

#include <cstdint>
#include <optional>

#include "absl/strings/string_view.h"
#include "services/router/openai/api_error.h"
#include "services/router/openai/api_request.h"

namespace baton::router {

struct ParseLimits {
  uint32_t max_depth = 32;    // of nested JSON
  uint32_t max_choices = 16;  // n
  uint32_t max_prompts = 64;  // of one completion request; and prompts * n at most 128
  uint32_t max_messages = 4096;
};

std::optional<ApiError> ParseRequest(ApiKind kind, absl::string_view body, const ParseLimits& limits,
                                     ApiRequest& out);

}  // namespace baton::router
