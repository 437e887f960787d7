#include "tools/load/workload.h"

#include <algorithm>

#include "absl/strings/numbers.h"
#include "absl/strings/str_cat.h"
#include "absl/strings/str_split.h"
#include "common/status_macros.h"

namespace baton::load {
namespace {

constexpr uint64_t kSharedKeys = uint64_t{1}
                                 << 60;  // keys of shared prompts begin here, those of a trace at twice it
constexpr int64_t kTraceBlock = 512;     // tokens of a hash id in a Mooncake trace

absl::Status Check(const WorkloadSpec& spec) {
  const bool sane = spec.shared_prompts >= 0 && spec.shared_tokens >= 0 && spec.shared_tokens <= 1000000 &&
                    spec.turns >= 1 && spec.turns <= 1000 && spec.think >= absl::ZeroDuration() &&
                    spec.cancel_share >= 0 && spec.cancel_share <= 1 && spec.cancel_after >= 0;
  return sane ? absl::OkStatus()
              : absl::InvalidArgumentError(
                    "a number of the workload is negative or too large (turns: 1 to 1,000)");
}

class Planner {
 public:
  explicit Planner(const WorkloadSpec& spec) : spec_(spec), random_(spec.seed, 2), mix_(spec.seed, 3) {
    for (const Tenant& tenant : spec.tenants) shares_ += tenant.share;
  }

  // A request with all but its prompt, time and length.
  PlannedRequest Start(const Tenant* tenant) {
    PlannedRequest request;
    if (tenant != nullptr) {
      request.tenant = tenant->name;
      request.priority = tenant->priority;
    }
    request.ignore_eos = spec_.ignore_eos;
    request.temperature = spec_.temperature;
    request.seed = mix_.Bits();
    if (mix_.Uniform() < spec_.cancel_share) request.cancel_after = spec_.cancel_after;
    return request;
  }

  const Tenant* DrawTenant() {
    double left = mix_.Uniform() * shares_;
    for (const Tenant& tenant : spec_.tenants) {
      if ((left -= tenant.share) < 0) return &tenant;
    }
    return spec_.tenants.empty() ? nullptr : &spec_.tenants.back();
  }

  void AddSession(absl::Duration at, LoadPlan& plan) {
    const Tenant* tenant = DrawTenant();
    const Lengths& prompt = tenant != nullptr && tenant->prompt ? *tenant->prompt : spec_.prompt;
    const Lengths& answer = tenant != nullptr && tenant->answer ? *tenant->answer : spec_.answer;
    for (int64_t turn = 0; turn < spec_.turns; ++turn) {
      PlannedRequest request = Start(tenant);
      request.at = turn == 0 ? at : spec_.think;
      request.after = turn == 0 ? -1 : static_cast<int64_t>(plan.requests.size()) - 1;
      if (turn == 0 && spec_.shared_prompts > 0 && spec_.shared_tokens > 0) {
        const uint64_t which = static_cast<uint64_t>(random_.Between(0, spec_.shared_prompts - 1));
        request.prompt.system.push_back({kSharedKeys + which, spec_.shared_tokens});
        request.input_tokens += spec_.shared_tokens;
      }
      const int64_t tokens = prompt.Draw(random_);
      request.prompt.user.push_back({random_.Bits(), tokens});
      request.input_tokens += tokens;
      request.max_tokens = answer.Draw(random_);
      plan.requests.push_back(std::move(request));
    }
  }

 private:
  const WorkloadSpec& spec_;
  Random random_, mix_;
  double shares_ = 0;
};

int64_t Scaled(int64_t tokens, const TraceSpec& trace, int64_t most) {
  const double scaled = std::round(static_cast<double>(tokens) * trace.length_scale);
  return static_cast<int64_t>(std::clamp(scaled, 1.0, static_cast<double>(most)));
}

// Blocks that really share: each becomes a part of its own, the last one shorter where the prompt ends.
void AddBlocks(const TraceRow& row, const TraceSpec& trace, uint64_t own_key, PlannedRequest& request) {
  int64_t left = Scaled(row.input_tokens, trace, trace.max_prompt);
  request.input_tokens = left;
  const int64_t block = Scaled(kTraceBlock, trace, kTraceBlock * 1000);
  for (const uint64_t id : row.blocks) {
    if (left <= 0) return;
    request.prompt.user.push_back({2 * kSharedKeys + id, std::min(left, block)});
    left -= block;
  }
  if (left > 0) request.prompt.user.push_back({own_key, left});
}

void AddRow(const TraceRow& row, absl::Duration at, const TraceSpec& trace, const WorkloadSpec& spec,
            Planner& planner, LoadPlan& plan) {
  const Tenant* tenant = planner.DrawTenant();
  PlannedRequest request = planner.Start(tenant);
  request.at = at;
  request.max_tokens = Scaled(row.output_tokens, trace, trace.max_answer);
  if (row.turns.empty()) {
    AddBlocks(row, trace, request.seed, request);
    plan.requests.push_back(std::move(request));
    return;
  }
  for (size_t turn = 0; turn < std::min<size_t>(row.turns.size(), spec.turns); ++turn) {
    if (turn > 0) {
      request = planner.Start(tenant);
      request.at = spec.think;
      request.after = static_cast<int64_t>(plan.requests.size()) - 1;
    }
    request.prompt.text = row.turns[turn].text;
    request.input_tokens = row.turns[turn].input_tokens;
    request.max_tokens = Scaled(row.turns[turn].output_tokens, trace, trace.max_answer);
    plan.requests.push_back(request);
  }
}

}  // namespace

absl::StatusOr<std::vector<Tenant>> ParseTenants(absl::string_view text) {
  std::vector<Tenant> tenants;
  for (const absl::string_view item : absl::StrSplit(text, ',', absl::SkipEmpty())) {
    const std::vector<std::string> words = absl::StrSplit(item, ':');
    Tenant tenant{.name = words[0]};
    const bool numbers = (words.size() < 2 || absl::SimpleAtod(words[1], &tenant.share)) &&
                         (words.size() < 3 || absl::SimpleAtoi(words[2], &tenant.priority));
    if (!numbers || tenant.name.empty() || words.size() > 3 || !(tenant.share > 0 && tenant.share < 1e9))
      return absl::InvalidArgumentError(
          absl::StrCat("a tenant is NAME[:SHARE[:PRIORITY]], not '", item, "'"));
    tenants.push_back(std::move(tenant));
  }
  return tenants;
}

absl::StatusOr<LoadPlan> MakePlan(const WorkloadSpec& spec) {
  BATON_RETURN_IF_ERROR(Check(spec));
  BATON_ASSIGN_OR_RETURN(const std::vector<absl::Duration> times, Arrivals(spec.arrivals));
  if (static_cast<int64_t>(times.size()) * spec.turns > kMostRequests)
    return absl::InvalidArgumentError(absl::StrCat("that would be over ", kMostRequests, " requests"));
  LoadPlan plan{.duration = spec.arrivals.duration};
  Planner planner(spec);
  for (const absl::Duration at : times) planner.AddSession(at, plan);
  return plan;
}

absl::StatusOr<LoadPlan> TracePlan(const WorkloadSpec& spec, const std::vector<TraceRow>& rows,
                                   const TraceSpec& trace) {
  BATON_RETURN_IF_ERROR(Check(spec));
  if (!(trace.speed > 0 && trace.length_scale > 0 && trace.max_prompt > 0 && trace.max_answer > 0))
    return absl::InvalidArgumentError("a trace's speed, scale and limits must be over 0");
  LoadPlan plan{.duration = spec.arrivals.duration};
  std::vector<absl::Duration> times;
  if (!rows.empty() && !rows.front().at.has_value()) {
    BATON_ASSIGN_OR_RETURN(times, Arrivals(spec.arrivals));
  } else {
    for (const TraceRow& row : rows) times.push_back(*row.at / trace.speed);
  }
  Planner planner(spec);
  const size_t most = static_cast<size_t>(std::max<int64_t>(0, std::min(spec.arrivals.most, kMostRequests)));
  for (size_t i = 0; i < times.size() && plan.requests.size() < most; ++i) {
    if (times[i] < spec.arrivals.duration)
      AddRow(rows[i % rows.size()], times[i], trace, spec, planner, plan);
  }
  return plan;
}

}  // namespace baton::load
