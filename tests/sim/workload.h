#pragma once

// The requests of a world, and what an undisturbed single engine answers to each.

#include <string>
#include <vector>

#include "engine/types.h"
#include "tests/sim/options.h"
#include "tests/sim/prng.h"

namespace baton::sim {

struct Request {
  int index = 0;
  StreamId stream;
  SequenceSpec spec;       // deadline unset
  absl::Duration arrives;  // after the world began
  absl::Duration timeout = absl::InfiniteDuration();
  absl::Duration cancel_after = absl::InfiniteDuration();  // of its arrival; the client then goes away
  absl::Duration token_time = absl::ZeroDuration();        // a slow reader takes one token in that time
  bool reconnects = false;                                 // after its router vanished
  std::vector<TokenId> expected;
  FinishReason expected_finish = FinishReason::kNone;
};

std::vector<Request> DrawRequests(const WorldOptions& options, Prng prng);

// Fills in `expected` by running each request alone in one EngineCore. An error if the engine did not serve
// them all.
absl::Status AskOracle(const WorldOptions& options, std::vector<Request>* requests);

}  // namespace baton::sim
