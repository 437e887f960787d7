#pragma once

// What `./baton up` is told of the KV pool: --kv-pool SIZE and --kv-disk DIR:SIZE.

#include "tools/ctl/arguments.h"
#include "tools/ctl/options.h"

namespace baton::ctl {

// "2G", "512M"; MiB. INVALID_ARGUMENT: not a whole number of them from 1 M to 16 T.
absl::StatusOr<int> ParseSizeMb(const std::string& option, const std::string& text);

// INVALID_ARGUMENT names the option at fault.
absl::Status ParsePoolOptions(const Arguments& arguments, ClusterSpec* spec);

}  // namespace baton::ctl
