#pragma once

// What sim_test was asked to do, and the tests that do it.

#include "tests/sim/seed_runner.h"

namespace baton::sim {

struct SimArgs {
  std::string program = "sim_test";
  SeedRange range;
};

// Before RUN_ALL_TESTS.
void RegisterSimulatorTests(const SimArgs& args);

}  // namespace baton::sim
