#pragma once

// Logging set-up for a process: lines on stderr, ISO time, level, component. Code logs through spdlog's own
// functions. Prompts, answers and keys are never logged.

#include <string>

#include "absl/status/status.h"
#include "absl/strings/string_view.h"

namespace baton {

// Call once, first in main. `level`: trace, debug, info, warn, error or off; another is InvalidArgument.
absl::Status SetUpLogging(absl::string_view component, absl::string_view level);

}  // namespace baton
