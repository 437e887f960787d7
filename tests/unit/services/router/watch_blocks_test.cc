// Watch events lost, repeated, reordered and cut off: the index ends up with what the ranks hold.

#include <gtest/gtest.h>

#include <algorithm>
#include <deque>
#include <random>
#include <set>

#include "services/router/policy/cluster_prefixes.h"
#include "services/router/policy/worker_table.h"

namespace baton::router {
namespace {

constexpr uint32_t kRanks = 2;
constexpr int kBlocks = 60;

// A worker that tells in parts of three blocks what its ranks hold.
class TellingWorker {
 public:
  explicit TellingWorker(uint64_t seed) : random_(seed) { Restart(); }

  void Restart() {
    ++epoch_;
    for (auto& rank : held_) rank.clear();
    BeginCall();
  }
  void BeginCall() {
    ++call_;
    number_ = 0;
    for (uint32_t rank = 0; rank < kRanks; ++rank) {
      told_[rank].clear();
      begun_[rank] = false;
    }
  }
  void Compute() {
    std::set<int>& rank = held_[random_() % kRanks];
    const int block = static_cast<int>(random_() % kBlocks);
    if (rank.erase(block) == 0) rank.insert(block);
  }
  // The next report of the current call.
  WorkerReport Report() {
    WorkerReport report{.epoch = {epoch_, 7}, .number = number_++, .role = WorkerRole::kDecode};
    report.facts = {.fingerprint = "print", .page_tokens = 16, .publishes_blocks = true};
    for (uint32_t rank = 0; rank < kRanks; ++rank) {
      report.ranks.push_back({.rank = rank});
      PrefixChange change{.rank = rank, .restart = !std::exchange(begun_[rank], true)};
      size_t room = 3;
      const auto tell = [&](const std::set<int>& from, const std::set<int>& without, auto&& each) {
        for (const int block : from) {
          if (room == 0 || without.count(block) != 0) continue;
          --room;
          each(block);
        }
      };
      const std::set<int> told = told_[rank];
      tell(told, held_[rank], [&](int b) { change.evicted.push_back(Block(b)), told_[rank].erase(b); });
      tell(held_[rank], told, [&](int b) { change.stored.push_back(Block(b)), told_[rank].insert(b); });
      report.blocks.push_back(change);
    }
    return report;
  }
  static BlockHash Block(int n) { return {static_cast<uint64_t>(n) << 52 | 1, static_cast<uint64_t>(n)}; }
  bool AllTold() const { return told_[0] == held_[0] && told_[1] == held_[1] && begun_[0]; }
  const std::set<int>& held(uint32_t rank) const { return held_[rank]; }
  uint64_t call() const { return call_; }

 private:
  std::mt19937_64 random_;
  uint64_t epoch_ = 0, call_ = 0, number_ = 0;
  std::set<int> held_[kRanks], told_[kRanks];
  bool begun_[kRanks] = {};
};

// What the registry does with reports, in small.
class Watching {
 public:
  Watching() : table_(WorkerTableConfig{}) { table_.AddEndpoint("w"); }
  // False: it must watch again.
  bool Take(uint64_t call, const WorkerReport& report) {
    if (call != call_) return true;  // of a call that was given up
    if (!table_.Report("w", report, absl::UnixEpoch()).ok()) return false;
    const uint64_t worker = table_.endpoints().at("w").worker;
    if (worker != worker_) prefixes_.RemoveWorker(std::exchange(worker_, worker));
    if (report.number == 0) prefixes_.AddWorker(worker, {"print", 16}, true, 0);
    for (const PrefixChange& change : report.blocks) prefixes_.Change(worker, change);
    prefixes_.Sweep();
    return true;
  }
  void Watch(uint64_t call) {
    table_.Disconnected("w");
    call_ = call;
  }
  std::set<int> Held(uint32_t rank) const {
    std::set<int> held;
    for (int block = 0; block < kBlocks; ++block) {
      PromptBlocks one{.chains = {{{"print", 16}, {TellingWorker::Block(block)}}}, .tokens = 17};
      std::vector<uint32_t> tokens;
      std::vector<uint64_t> blocks;
      prefixes_.Match(one, {RankRef{worker_, rank}}, &tokens, &blocks);
      if (tokens[0] == 16) held.insert(block);
    }
    return held;
  }

 private:
  WorkerTable table_;
  ClusterPrefixes prefixes_;
  uint64_t call_ = 0, worker_ = 0;
};

void RunSeed(uint64_t seed) {
  std::mt19937_64 random(seed);
  TellingWorker worker(seed);
  Watching router;
  router.Watch(worker.call());
  std::deque<std::pair<uint64_t, WorkerReport>> wire;
  const auto again = [&] {
    worker.BeginCall();
    router.Watch(worker.call());
  };
  const auto deliver = [&](size_t place) {
    const auto message = wire[place];
    wire.erase(wire.begin() + static_cast<ptrdiff_t>(place));
    if (!router.Take(message.first, message.second)) again();
  };
  for (int step = 0; step < 400; ++step) {
    const uint64_t what = random() % 40;
    for (uint64_t i = random() % 4; i > 0; --i) worker.Compute();
    if (what < 20) wire.emplace_back(worker.call(), worker.Report());
    if (what == 20 && !wire.empty()) wire.pop_front();                              // lost
    if (what == 21 && !wire.empty()) wire.push_back(wire[random() % wire.size()]);  // repeated
    if (what == 22 && !wire.empty()) deliver(random() % wire.size());               // overtakes
    if (what == 23) again();                                                        // cut off
    if (what == 24) worker.Restart(), router.Watch(worker.call());
    if (what > 24 && !wire.empty()) deliver(0);
  }
  for (int rounds = 0; rounds < 200; ++rounds) {
    while (!wire.empty()) deliver(0);
    if (worker.AllTold() && router.Held(0) == worker.held(0)) break;
    wire.emplace_back(worker.call(), worker.Report());
  }
  for (uint32_t rank = 0; rank < kRanks; ++rank)
    ASSERT_EQ(router.Held(rank), worker.held(rank)) << "seed " << seed;
}

TEST(WatchBlocks, HealFromLossRepetitionReorderingCutsAndRestarts) {
  for (uint64_t seed = 1; seed <= 60; ++seed) ASSERT_NO_FATAL_FAILURE(RunSeed(seed));
}

}  // namespace
}  // namespace baton::router
