#pragma once

// What the processes of a cluster say of themselves at one time.

#include "tools/chaos/driver.h"
#include "tools/chaos/evidence.h"

namespace baton::chaos {

// Prometheus' text format: {"name{label=\"x\"}": value}. Lines that are none are passed over.
Samples ParseMetrics(const std::string& text);
// "decode" of {class="decode",rank="0"} for key "class"; empty if it has none.
std::string LabelOf(const std::string& sample, const std::string& key);
// From baton_pages (of each rank) and baton_pool_pages (rank -1) of one process's samples.
std::vector<PageCount> PagesOf(const std::string& process, const Samples& samples);

// Asks every process that is not gone for good, and the router; each answers within 2 s or counts as silent.
Snapshot TakeSnapshot(Driver& driver, double at_s);

// Whether nothing is under way: every process answers, nothing is open, every page is free or cached, and the
// router knows as many healthy workers as there are.
bool IsIdle(const Snapshot& snapshot);
// Why not, in a few words; empty if it is.
std::string WhyNotIdle(const Snapshot& snapshot);

}  // namespace baton::chaos
