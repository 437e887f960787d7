#pragma once

// What a router's GET /baton/streams says, read. Pure.

#include <string>
#include <vector>

#include "absl/status/statusor.h"

namespace baton::ctl {

// A heading, and a row for each stream; only the heading if the text makes no sense.
std::vector<std::vector<std::string>> StreamRows(const std::string& streams);

// The id of the only stream that begins with `prefix`. NOT_FOUND, or INVALID_ARGUMENT if several do.
absl::StatusOr<std::string> FindStream(const std::string& streams, const std::string& prefix);

// One line about a POST /baton/migrate that was answered 200.
std::string MoveLine(const std::string& answer);

}  // namespace baton::ctl
