// The router's prefix index at its design size: matches of 2,048 blocks over 1,000 ranks among 10 million
// (block, rank) pairs, memory, and how soon a restarted router has it all again from the workers' Watch
// events (serialized, parsed and applied by one thread). Beside it, a plain hash map of ordered vectors.

#include <unistd.h>

#include <algorithm>
#include <chrono>
#include <cstdio>
#include <fstream>
#include <random>
#include <string>
#include <vector>

#include "absl/flags/flag.h"
#include "absl/flags/parse.h"
#include "absl/flags/usage.h"
#include "absl/strings/str_cat.h"
#include "absl/strings/str_join.h"
#include "baton/worker.pb.h"
#include "benchmarks/router_index/naive_index.h"
#include "services/router/policy/cluster_prefixes.h"
#include "services/router/policy/prefix_index.h"
#include "services/router/rpc/convert.h"

ABSL_FLAG(bool, quick, false, "1 million pairs");
ABSL_FLAG(std::string, json, "", "file to write the figures to");
ABSL_FLAG(std::string, machine, "", "machine to name in the figures");
ABSL_FLAG(std::string, commit, "", "commit to name in the figures");

namespace baton::router {
namespace {

constexpr uint32_t kRanks = 1000;
constexpr size_t kChain = 2048;
constexpr size_t kShare = 5;  // ranks that hold a prompt
constexpr size_t kEventBlocks = 2048;
constexpr int kMatches = 2000;

using Chain = std::vector<BlockHash>;

struct Row {
  std::string name;
  double value;
  std::string unit;
  double peer_value;  // 0: none
  bool less_is_better;
  double target;
};

double Since(std::chrono::steady_clock::time_point start) {
  return std::chrono::duration<double>(std::chrono::steady_clock::now() - start).count();
}

double ResidentMiB() {
  std::ifstream file("/proc/self/statm");
  double size = 0, resident = 0;
  file >> size >> resident;
  return resident * static_cast<double>(sysconf(_SC_PAGESIZE)) / (1 << 20);
}

// What the ranks hold: `prompts`, each held by kShare ranks, and one that all of them hold.
struct Content {
  std::vector<Chain> prompts;
  Chain hot;
  std::vector<std::vector<size_t>> of_rank;  // places in prompts
};

Content MakeContent(size_t pairs) {
  std::mt19937_64 random(1);
  const auto chain = [&random] {
    Chain blocks(kChain);
    for (BlockHash& block : blocks) block = {random(), random()};
    return blocks;
  };
  Content content{.hot = chain(), .of_rank = std::vector<std::vector<size_t>>(kRanks)};
  const size_t prompts = (pairs - kChain * kRanks / 10) / kChain / kShare;
  for (size_t p = 0; p < prompts; ++p) {
    content.prompts.push_back(chain());
    for (size_t i = 0; i < kShare; ++i) content.of_rank[random() % kRanks].push_back(p);
  }
  content.hot.resize(kChain / 10);  // a tenth: a long system prompt
  return content;
}

std::vector<double> MatchTimes(const Content& content, const auto& match) {
  std::mt19937_64 random(2);
  std::vector<double> times;
  for (int i = 0; i < kMatches; ++i) {
    const Chain& chain = content.prompts[random() % content.prompts.size()];
    const auto start = std::chrono::steady_clock::now();
    match(chain);
    times.push_back(Since(start) * 1e6);
  }
  std::sort(times.begin(), times.end());
  return times;
}

// A rank's Watch events, as its worker would send them.
std::vector<std::string> Snapshot(const Content& content, uint32_t rank) {
  Chain all = content.hot;
  for (const size_t prompt : content.of_rank[rank])
    all.insert(all.end(), content.prompts[prompt].begin(), content.prompts[prompt].end());
  std::vector<std::string> events;
  for (size_t begin = 0; begin < all.size(); begin += kEventBlocks) {
    v1::WatchEvent event;
    event.set_number(events.size());
    event.set_healthy(true);
    event.add_ranks()->set_running(3);
    v1::BlockChanges* blocks = event.add_blocks();
    blocks->set_restart(begin == 0);
    const size_t count = std::min(kEventBlocks, all.size() - begin);
    blocks->set_stored(reinterpret_cast<const char*>(&all[begin]), count * sizeof(BlockHash));
    events.push_back(event.SerializeAsString());
  }
  return events;
}

double Restart(const Content& content, ClusterPrefixes* prefixes) {
  std::vector<std::vector<std::string>> events;
  for (uint32_t rank = 0; rank < kRanks; ++rank) events.push_back(Snapshot(content, rank));
  const auto start = std::chrono::steady_clock::now();
  for (uint32_t rank = 0; rank < kRanks; ++rank) {
    prefixes->AddWorker(rank + 1, {"print", 16}, true, 0);
    for (const std::string& bytes : events[rank]) {
      v1::WatchEvent event;
      if (!event.ParseFromString(bytes)) std::abort();
      const std::optional<WatchMessage> message = FromProto(event);
      for (const PrefixChange& change : std::get<WorkerReport>(*message).blocks)
        prefixes->Change(rank + 1, change);
    }
  }
  return Since(start);
}

void Fill(const Content& content, auto* index) {
  for (uint32_t rank = 0; rank < kRanks; ++rank) {
    index->Stored(rank, content.hot);
    for (const size_t prompt : content.of_rank[rank]) index->Stored(rank, content.prompts[prompt]);
  }
}

// With no block held twice.
double UnsharedMiB(size_t pairs) {
  std::mt19937_64 random(3);
  PrefixIndex index;
  Chain blocks(kChain);
  for (size_t told = 0; told < pairs; told += kChain) {
    const uint32_t rank =
        told / kChain < kRanks ? *index.AddHolder() : static_cast<uint32_t>(random() % kRanks);
    for (BlockHash& block : blocks) block = {random(), random()};
    index.Stored(rank, blocks);
  }
  return static_cast<double>(index.bytes()) / (1 << 20);
}

double Median(const std::vector<double>& times) {
  return times[times.size() / 2];
}
double P99(const std::vector<double>& times) {
  return times[times.size() * 99 / 100];
}

std::vector<Row> Measure(size_t pairs) {
  const Content content = MakeContent(pairs);
  std::vector<Row> rows;
  std::vector<uint32_t> leading(kRanks);
  Content hot{.prompts = {Chain(content.prompts[0])}};
  std::vector<double> naive_times, naive_hot;
  double naive_mib = 0;
  {
    std::fprintf(stderr, "%zu pairs: the plain map\n", pairs);
    const double before = ResidentMiB();
    NaiveIndex naive;
    Fill(content, &naive);
    naive_mib = ResidentMiB() - before;
    const auto match = [&](const Chain& chain) { naive.Match(chain, absl::MakeSpan(leading)); };
    naive_times = MatchTimes(content, match);
    for (uint32_t rank = 0; rank < kRanks; ++rank) naive.Stored(rank, hot.prompts[0]);
    naive_hot = MatchTimes(hot, match);
  }
  {
    std::fprintf(stderr, "%zu pairs: the index\n", pairs);
    PrefixIndex index;
    for (uint32_t rank = 0; rank < kRanks; ++rank) index.AddHolder();
    Fill(content, &index);
    const auto match = [&](const Chain& chain) { index.Match(chain, absl::MakeSpan(leading)); };
    const std::vector<double> times = MatchTimes(content, match);
    const double mib = static_cast<double>(index.bytes()) / (1 << 20);
    for (uint32_t rank = 0; rank < kRanks; ++rank) index.Stored(rank, hot.prompts[0]);
    const std::vector<double> hot_times = MatchTimes(hot, match);
    const std::string of =
        absl::StrCat("match of 2,048 blocks over 1,000 ranks, ", pairs / 1'000'000, " M pairs, ");
    rows.push_back({of + "held by 5 ranks, p50", Median(times), "us", Median(naive_times), true, 50});
    rows.push_back({of + "held by 5 ranks, p99", P99(times), "us", P99(naive_times), true, 50});
    rows.push_back({of + "held by all ranks, p50", Median(hot_times), "us", Median(naive_hot), true, 50});
    rows.push_back({of + "held by all ranks, p99", P99(hot_times), "us", P99(naive_hot), true, 50});
    rows.push_back({"memory of the index, blocks held by 5 ranks", mib, "MiB", naive_mib, true, 2048});
  }
  std::fprintf(stderr, "%zu pairs: a restart\n", pairs);
  ClusterPrefixes prefixes;
  const double seconds = Restart(content, &prefixes);
  rows.push_back(
      {"whole again after a restart, events parsed and applied by one thread", seconds, "s", 0, true, 5});
  rows.push_back({"pairs then", static_cast<double>(prefixes.counts().pairs), "", 0, false, 0});
  rows.push_back({"memory of the index, no block shared", UnsharedMiB(pairs), "MiB", 0, true, 2048});
  return rows;
}

std::string Json(const Row& row) {
  const double ratio = row.peer_value == 0  ? 0
                       : row.less_is_better ? row.peer_value / row.value
                                            : row.value / row.peer_value;
  return absl::StrCat("  {\"name\": \"", row.name, "\", \"value\": ", row.value, ", \"unit\": \"", row.unit,
                      "\", \"peer\": \"", row.peer_value == 0 ? "" : "hash map of ordered vectors",
                      "\", \"peer_value\": ", row.peer_value, ", \"ratio\": ", ratio,
                      ", \"target\": ", row.target, "}");
}

int Main() {
  const std::vector<Row> rows = Measure(absl::GetFlag(FLAGS_quick) ? 1'000'000 : 10'000'000);
  for (const Row& row : rows) {
    std::printf("%-72s %12.4g %-4s", row.name.c_str(), row.value, row.unit.c_str());
    if (row.peer_value != 0) std::printf("  plain map: %.4g", row.peer_value);
    std::printf("\n");
  }
  if (const std::string path = absl::GetFlag(FLAGS_json); !path.empty()) {
    const auto one = [](std::string* out, const Row& row) { out->append(Json(row)); };
    std::ofstream(path) << "{\"machine\": \"" << absl::GetFlag(FLAGS_machine) << "\", \"commit\": \""
                        << absl::GetFlag(FLAGS_commit) << "\", \"rows\": [\n"
                        << absl::StrJoin(rows, ",\n", one) << "\n]}\n";
  }
  return 0;
}

}  // namespace
}  // namespace baton::router

int main(int argc, char** argv) {
  absl::SetProgramUsageMessage(
      "Measures the router's prefix index.\n"
      "  baton-bench-router-index [--quick] [--json FILE] [--machine TEXT] [--commit HASH]");
  absl::ParseCommandLine(argc, argv);
  return baton::router::Main();
}
