#pragma once

// Many worlds, on several threads; each world is single-threaded and knows nothing of the others.

#include <string>
#include <vector>

#include "tests/sim/world.h"

namespace baton::sim {

struct SeedRange {
  uint64_t first = 1;
  uint64_t count = 10000;
  int threads = 2;
  Mutation mutation = Mutation::kNone;
  uint64_t stop_after_failures = 5;
};

struct SeedSummary {
  uint64_t seeds = 0;
  uint64_t events = 0, fewest_events = UINT64_MAX;
  uint64_t streams = 0, finished = 0;
  absl::Duration virtual_time, wall_time;
  std::vector<WorldResult> failures;
  Coverage coverage;

  std::string ToString() const;
};

SeedSummary RunSeeds(const SeedRange& range);

// The one command that replays a seed; `program` is how this binary was called.
std::string ReplayCommand(const std::string& program, uint64_t seed, Mutation mutation);

// Everything that some seed of the default range has to reach: each legal transition of the handoff's state
// machines and of a stream's session, each command and event, each way in which a call ends, each fault, and
// each message lost, repeated and late.
std::vector<std::string> RequiredCoverage();

}  // namespace baton::sim
