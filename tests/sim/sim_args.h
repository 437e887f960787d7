#pragma once

// What sim_test was asked to do; set by its main before any test runs.

#include "tests/sim/seed_runner.h"

namespace baton::sim {

struct SimArgs {
  std::string program = "sim_test";
  SeedRange range;
};

SimArgs& Args();

}  // namespace baton::sim
