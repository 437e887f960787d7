#pragma once

// What the processes' own counts say of a run: pages, memory, what is left open, handoffs. Pure.

#include "tools/chaos/evidence.h"

namespace baton::chaos {

// "pages add up": at every look while the load ran, and after it, the classes of each rank sum to what they
// did before the load. One that has none is starting.
CheckResult PagesAddUp(const Evidence& evidence);

// "nothing is left open": requests, calls, sequences and pulls, once the run is over.
CheckResult NothingLeftOpen(const Evidence& evidence);

// "memory grows by at most N MB": of each process that lived through the run, from before the load to after
// it. Pages that are touched for the first time count.
CheckResult MemoryBounded(double most_mb, const Evidence& evidence);

// "at least N% of the handoffs are held": by the router's counts of streams whose prompt was computed
// elsewhere. No handoff at all is no success.
CheckResult HandoffsHeld(double least_share, const Evidence& evidence);

}  // namespace baton::chaos
