#include "tools/sim/compare.h"

#include <algorithm>
#include <cmath>
#include <numeric>

#include "common/status_macros.h"

namespace baton::simulator {
namespace {

void Add(const RunResult& run, int seeds, Row* row) {
  row->described = run.policy;
  row->goodputs.push_back(run.Goodput());
  row->requests += run.requests;
  row->good += run.good;
  row->rejected += run.rejected;
  row->direct += run.direct;
  row->refused += run.refused;
  row->preempted += run.preempted;
  row->prompt_tokens += run.prompt_tokens;
  row->cached_tokens += run.cached_tokens;
  row->ttft.Merge(run.ttft);
  row->itl.Merge(run.itl);
  row->prefill_busy += run.prefill_busy / seeds;
  row->decode_busy += run.decode_busy / seeds;
  row->prefill_balance += run.prefill_balance / seeds;
  row->decode_balance += run.decode_balance / seeds;
}

double PromptSeconds(const StepCurve& curve, double prompt) {
  double seconds = 0;
  for (double done = 0; done < prompt; done += curve.prefill_step_tokens) {
    const double tokens = std::min(curve.prefill_step_tokens, prompt - done);
    seconds += curve.StepSeconds({tokens, tokens * (done + tokens / 2), done});
  }
  return seconds;
}

}  // namespace

double Row::Goodput() const {
  if (goodputs.empty()) return 0;
  return std::accumulate(goodputs.begin(), goodputs.end(), 0.0) / double(goodputs.size());
}

double NominalRate(const ClusterOptions& cluster, const Trace& trace, Half half) {
  const std::vector<Request> requests = MakeRequests(trace, {.half = half});
  double prefill = 0, answer = 0, context = 0;
  for (const Request& request : requests) {
    prefill += PromptSeconds(cluster.curve, request.prompt) / double(requests.size());
    answer += double(request.answer) / double(requests.size());
    context += (request.prompt + request.answer / 2.0) / double(requests.size());
  }
  const double batch =
      std::clamp(cluster.curve.kv_tokens / std::max(1.0, context), 1.0, cluster.curve.max_running);
  const double step = cluster.curve.StepSeconds({batch, batch * context, batch * context});
  return std::min(cluster.prefill / prefill, cluster.decode * batch / (answer * step));
}

absl::StatusOr<std::vector<Row>> Compare(const CompareOptions& options, const Trace& trace,
                                         const std::function<void(int, int)>& done) {
  const double nominal = NominalRate(options.cluster, trace, options.half);
  const int all = static_cast<int>(options.loads.size() * options.policies.size()) * options.seeds;
  std::vector<Row> rows;
  int runs = 0;
  for (const double load : options.loads) {
    for (const std::string& policy : options.policies) {
      Row& row = rows.emplace_back();
      row.policy = policy;
      row.load = load;
      row.rate = load * nominal;
      for (int i = 0; i < options.seeds; ++i) {
        const uint64_t seed = options.first_seed + uint64_t(i);
        const std::vector<Request> requests =
            MakeRequests(trace, {.half = options.half, .rate = row.rate, .seed = seed, .most = options.most});
        BATON_ASSIGN_OR_RETURN(
            const RunResult run,
            Simulate(
                {.cluster = options.cluster, .policy = policy, .seed = seed, .admission = options.admission},
                requests, trace.block_tokens));
        Add(run, options.seeds, &row);
        done(++runs, all);
      }
    }
  }
  return rows;
}

}  // namespace baton::simulator
