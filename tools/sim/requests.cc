#include "tools/sim/requests.h"

#include <algorithm>
#include <cmath>

#include "absl/container/flat_hash_map.h"
#include "common/keyed_random.h"

namespace baton::simulator {
namespace {

constexpr double kMooncakeBlock = 512;
constexpr double kSpreadS = 3;
constexpr uint32_t kSpreadChoice = 7;  // which draws of the seed these are

uint32_t Scaled(int64_t tokens, double scale, uint32_t most) {
  return static_cast<uint32_t>(std::clamp(std::round(double(tokens) * scale), 1.0, double(most)));
}

}  // namespace

absl::StatusOr<Trace> PrepareTrace(const std::vector<load::TraceRow>& rows, const TraceOptions& options) {
  if (rows.size() < 4 || !rows.front().at)
    return absl::InvalidArgumentError("the simulator wants a trace with times, of four requests or more");
  Trace trace;
  for (const load::TraceRow& row : rows) trace.shares |= !row.blocks.empty();
  if (trace.shares)
    trace.block_tokens =
        static_cast<uint32_t>(std::max(1.0, std::round(kMooncakeBlock * options.length_scale)));
  absl::flat_hash_map<uint64_t, uint32_t> numbers;
  for (const load::TraceRow& row : rows) {
    Trace::Row& made = trace.rows.emplace_back();
    made.at_s = absl::ToDoubleSeconds(*row.at);
    made.prompt = Scaled(row.input_tokens, options.length_scale, options.max_prompt);
    made.answer = Scaled(row.output_tokens, options.length_scale, options.max_prompt);
    const size_t whole = std::min<size_t>(row.blocks.size(), made.prompt / trace.block_tokens);
    for (size_t i = 0; i < whole; ++i)
      made.blocks.push_back(numbers.try_emplace(row.blocks[i], uint32_t(numbers.size())).first->second);
  }
  return trace;
}

std::vector<Request> MakeRequests(const Trace& trace, const Arrivals& arrivals) {
  const size_t middle = trace.rows.size() / 2;
  const size_t from = arrivals.half == Half::kSecond ? middle : 0;
  const size_t to =
      std::min(arrivals.half == Half::kFirst ? middle : trace.rows.size(), from + arrivals.most);
  const double start = trace.rows[from].at_s;
  const double span = std::max(trace.rows[to - 1].at_s - start + kSpreadS, 1e-3);
  const double speed = arrivals.rate * span / double(to - from);
  std::vector<Request> requests;
  for (size_t i = from; i < to; ++i) {
    const Trace::Row& row = trace.rows[i];
    const double at = row.at_s - start + kSpreadS * KeyedUniform(arrivals.seed, kSpreadChoice, i);
    requests.push_back({at / speed, row.prompt, row.answer, row.blocks});
  }
  std::stable_sort(requests.begin(), requests.end(),
                   [](const Request& a, const Request& b) { return a.at_s < b.at_s; });
  return requests;
}

}  // namespace baton::simulator
