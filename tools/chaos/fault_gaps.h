#pragma once

// How long streams stood still at faults. Pure.

#include <optional>
#include <vector>

#include "tools/chaos/evidence.h"

namespace baton::chaos {

// Of each stream that ran at a fault's time (from its beginning to 5 s after its end): its longest wait for
// the next event that overlaps that time, in seconds, the wait for the first one included. Streams that broke
// off or were cancelled count with the waits that ended.
std::vector<double> GapsAtFaults(const Evidence& evidence);

}  // namespace baton::chaos
