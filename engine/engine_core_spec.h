#pragma once

// What an engine refuses at the door.

#include <cstdint>

#include "absl/status/status.h"
#include "common/kv_layout.h"
#include "engine/types.h"

namespace baton {

struct SpecLimits {
  int vocab = 0;
  int64_t max_context = 0;
  int64_t pages = 0;
  KvLayout layout;
};

// Positions whose keys and values the sequence may come to need here: all but the last token's, which is
// never attended to. `whole`: it decodes here too, rather than only having its prompt computed.
int64_t LargestKvTokens(const SequenceSpec& spec, bool whole);

// Ok if the sequence could run to its end on an otherwise empty engine. InvalidArgument: it makes no sense or
// is longer than the model's context; ResourceExhausted: it can never fit this engine's pages.
absl::Status CheckSpec(const SequenceSpec& spec, const SpecLimits& limits, bool whole);

}  // namespace baton
