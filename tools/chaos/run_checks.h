#pragma once

// What must hold of a run, asked of its evidence. Pure.

#include <vector>

#include "tools/chaos/evidence.h"
#include "tools/chaos/scenario.h"

namespace baton::chaos {

// One result for each check that `spec` wants. `reference`: the oracle's streams, by index; needed for
// tokens_equal only.
std::vector<CheckResult> CheckRun(const CheckSpec& spec, const Evidence& evidence,
                                  const std::vector<StreamRecord>& reference);

// The first token at which a stream parts from the oracle's: of one that broke off, only what came is
// compared. Nothing: it doesn't.
std::optional<size_t> FirstDifference(const StreamRecord& stream, const StreamRecord& oracle);

// Seconds from the last fault's end until the series was back at `factor` of its median before the first
// fault, for 2 s; nothing: never. 0 without faults.
std::optional<double> RecoveryTime(const Recovery& recovery, const Evidence& evidence);

}  // namespace baton::chaos
