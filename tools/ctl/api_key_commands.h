#pragma once

// `baton keys api`: adds, lists and removes the API keys of a file that routers read (common/api_keys.h).

#include <string>

#include "absl/status/statusor.h"
#include "common/api_keys.h"
#include "tools/ctl/options.h"

namespace baton::ctl {

struct ApiKeysOptions {
  enum class Verb { kAdd, kList, kRemove };
  Verb verb = Verb::kList;
  std::string file;
  ApiKey key;  // of kAdd: all but what MakeApiKey fills in; of kRemove: the name
};

// INVALID_ARGUMENT says what is wrong with the words, those after `keys api`.
absl::StatusOr<ApiKeysOptions> ParseApiKeys(Words words);
// Prints what it did; of kAdd, the key alone goes to stdout, and only this once.
absl::Status ChangeApiKeys(const ApiKeysOptions& options);

}  // namespace baton::ctl
