#pragma once

// The little JSON that the router writes by hand.

#include <string>

#include "absl/strings/string_view.h"

namespace baton::router {

// Quoted and escaped (RFC 8259). Bytes that are not UTF-8 come out as U+FFFD.
std::string JsonString(absl::string_view text);
// The shortest number that reads back as this float; JSON knows no infinities, so they are clamped to +-9999.
std::string JsonFloat(float value);

}  // namespace baton::router
