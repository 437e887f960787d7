#pragma once

// What a request asks about: `messages` of a chat, `prompt` of a completion (internal to openai/).

#include "services/router/openai/api_request.h"
#include "services/router/openai/fields.h"
#include "services/router/openai/parse.h"

namespace baton::router {

void ParseMessages(Fields& fields, const ParseLimits& limits, ApiRequest& out);
// A string, a list of strings, a list of token ids, or a list of such lists.
void ParsePrompts(Fields& fields, const ParseLimits& limits, ApiRequest& out);

}  // namespace baton::router
