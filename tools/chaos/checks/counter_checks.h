#pragma once

// What the workers' counters say of a run, beyond what its clients saw. Counters are compared before and
// after the load, so a run in which a process died and began at zero again is not judged.

#include <vector>

#include "tools/chaos/evidence.h"

namespace baton::chaos {

// "cancelled streams stop being computed": of the tokens that cancelled streams had still to come (by the
// reference, the whole answers by index), less than half were generated all the same. "nothing to tell" where
// less than 64 tokens a cancelled stream were to come: those may well be done before the cancel arrives.
CheckResult CancelsStopWork(const Evidence& evidence, const std::vector<StreamRecord>& reference);

// "no checksum fails": of fetched keys and values. Only faults that tear transfers may cause such.
CheckResult NoChecksumFails(const Evidence& evidence);

// Those of the above that can be told: the first with a reference, the second without faults; none after a
// process died.
std::vector<CheckResult> CheckCounters(const Evidence& evidence, const std::vector<StreamRecord>& reference);

}  // namespace baton::chaos
