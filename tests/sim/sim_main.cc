#include <cstdio>
#include <cstdlib>
#include <cstring>
#include "tests/sim/world.h"
int main(int argc, char** argv) {
  uint64_t first = argc > 1 ? strtoull(argv[1], nullptr, 10) : 1, n = argc > 2 ? strtoull(argv[2], nullptr, 10) : 1;
  bool trace = argc > 3 && !strcmp(argv[3], "trace");
  int mut = argc > 4 ? atoi(argv[4]) : 0;
  baton::sim::Coverage coverage;
  uint64_t events = 0, min_events = ~0ull; int fails = 0, streams = 0, fin = 0;
  for (uint64_t s = first; s < first + n; ++s) {
    auto r = baton::sim::RunSeed(s, static_cast<baton::sim::Mutation>(mut), &coverage, trace);
    events += r.events; min_events = std::min(min_events, r.events); streams += r.streams; fin += r.finished;
    if (!r.failure.empty()) { ++fails; if (fails < 30) printf("seed %lu: %s (%lu events, %s)\n", (unsigned long)s, r.failure.c_str(), (unsigned long)r.events, absl::FormatDuration(r.virtual_time).c_str()); }
  }
  printf("%s", coverage.Table().c_str());
  printf("fails %d events %lu min %lu streams %d finished %d\n", fails, (unsigned long)events, (unsigned long)min_events, streams, fin);
}
