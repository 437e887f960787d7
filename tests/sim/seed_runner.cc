#include "tests/sim/seed_runner.h"

#include <algorithm>
#include <atomic>
#include <thread>

#include "absl/strings/str_format.h"
#include "absl/time/clock.h"
#include "tests/sim/crash_note.h"

namespace baton::sim {

SeedSummary RunSeeds(const SeedRange& range) {
  const absl::Time began = absl::Now();
  std::atomic<uint64_t> next{range.first}, failures{0};
  std::vector<SeedSummary> parts(range.threads);
  std::vector<std::thread> threads;
  for (SeedSummary& part : parts) {
    threads.emplace_back([&range, &next, &failures, &part] {
      while (failures.load() < range.stop_after_failures) {
        const uint64_t seed = next.fetch_add(1);
        if (seed >= range.first + range.count) return;
        const CrashNote note(seed);
        const WorldResult result = RunSeed(seed, range.mutation, &part.coverage, /*print_trace=*/false);
        ++part.seeds;
        part.events += result.events;
        part.fewest_events = std::min(part.fewest_events, result.events);
        part.streams += result.streams;
        part.finished += result.finished;
        part.virtual_time += result.virtual_time;
        if (result.failure.empty()) continue;
        part.failures.push_back(result);
        failures.fetch_add(1);
      }
    });
  }
  for (std::thread& thread : threads) thread.join();
  SeedSummary summary;
  for (const SeedSummary& part : parts) {
    summary.seeds += part.seeds;
    summary.events += part.events;
    summary.fewest_events = std::min(summary.fewest_events, part.fewest_events);
    summary.streams += part.streams;
    summary.finished += part.finished;
    summary.virtual_time += part.virtual_time;
    summary.failures.insert(summary.failures.end(), part.failures.begin(), part.failures.end());
    summary.coverage.Merge(part.coverage);
  }
  std::sort(summary.failures.begin(), summary.failures.end(),
            [](const WorldResult& a, const WorldResult& b) { return a.seed < b.seed; });
  summary.wall_time = absl::Now() - began;
  return summary;
}

std::string SeedSummary::ToString() const {
  return absl::StrFormat(
      "%d seeds in %.1f s: %d events (fewest in a seed %d), %.1f h of virtual time, %d streams of which %d "
      "finished and the "
      "others ended in an explicit error; %d failures",
      seeds, absl::ToDoubleSeconds(wall_time), events, fewest_events, absl::ToDoubleHours(virtual_time),
      streams, finished, failures.size());
}

std::string ReplayCommand(const std::string& program, uint64_t seed, Mutation mutation) {
  std::string command = absl::StrCat(program, " --seed=", seed, " --trace");
  if (mutation != Mutation::kNone) absl::StrAppend(&command, " --mutation=", static_cast<int>(mutation));
  return command;
}

}  // namespace baton::sim
