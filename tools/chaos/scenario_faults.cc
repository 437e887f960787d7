#include "absl/strings/str_cat.h"
#include "tools/chaos/scenario_sections.h"
#include "tools/chaos/schedule.h"

namespace baton::chaos {
namespace {

bool OnTheNetwork(FaultKind kind) {
  return kind == FaultKind::kPartition || kind == FaultKind::kLoss;
}

std::vector<std::string> AllKinds() {
  std::vector<std::string> names;
  for (const FaultKind kind : kFaultKinds) names.push_back(NameOf(kind));
  return names;
}

void ReadParties(Fields& fields, Fault* fault) {
  std::vector<std::string> between;
  const bool pair = fields.Words("between", &between);
  const bool single = fields.Text("target", &fault->target);
  if (pair && (single || between.size() != 2))
    fields.Refuse("between", "must be two processes, without target");
  if (pair && !OnTheNetwork(fault->kind)) fields.Refuse("between", "goes with partition and loss only");
  if (!pair && !single) fields.Need("target");
  if (pair && between.size() == 2) {
    fault->target = between[0];
    fault->peer = between[1];
  } else if (OnTheNetwork(fault->kind)) {
    fault->peer = "all";
  }
}

Fault ReadFault(const YAML::Node& node, const ClusterShape& cluster, Problem* problem) {
  Fault fault;
  Fields fields(node, "fault", problem);
  fields.Need("at");
  fields.Need("kind");
  fields.Span("at", &fault.at);
  if (std::string kind; fields.Choice("kind", AllKinds(), &kind)) fault.kind = *ParseFaultKind(kind);
  ReadParties(fields, &fault);
  if (Lasts(fault.kind)) {
    fields.Need("for");
    fields.Span("for", &fault.lasting);
  }
  if (fault.kind == FaultKind::kLoss) {
    fault.amount = 20;
    fields.Real("percent", 0.01, 100, &fault.amount);
  } else if (fault.kind == FaultKind::kSlowDisk) {
    fault.amount = 100;
    fields.Real("delay_ms", 0.01, 60000, &fault.amount);
  } else if (fault.kind == FaultKind::kExhaustPages) {
    fault.amount = 10;
    fields.Real("leave_percent", 0, 100, &fault.amount);
  } else if (Ends(fault.kind)) {
    fault.restart_after = cluster.restart_after;
    fields.Span("restart_after", &fault.restart_after, true);
  }
  fields.Done();
  return fault;
}

RandomFaults ReadRandom(const YAML::Node& node, Problem* problem) {
  RandomFaults random;
  Fields fields(node, "random", problem);
  for (const char* key : {"kinds", "targets", "per_minute", "until"}) fields.Need(key);
  std::vector<std::string> kinds;
  fields.Words("kinds", &kinds);
  for (const std::string& name : kinds) {
    const auto kind = ParseFaultKind(name);
    if (kind.ok())
      random.kinds.push_back(*kind);
    else
      fields.Refuse("kinds", std::string(kind.status().message()));
  }
  fields.Words("targets", &random.targets);
  fields.Real("per_minute", 0.01, 10000, &random.per_minute);
  fields.Span("from", &random.from);
  fields.Span("until", &random.until);
  fields.Span("shortest", &random.shortest);
  fields.Span("longest", &random.longest);
  fields.Number("together", 1, 64, &random.together);
  double amount = 0;
  if (fields.Real("percent", 0.01, 100, &amount)) random.amounts[FaultKind::kLoss] = amount;
  if (fields.Real("delay_ms", 0.01, 60000, &amount)) random.amounts[FaultKind::kSlowDisk] = amount;
  if (fields.Real("leave_percent", 0, 100, &amount)) random.amounts[FaultKind::kExhaustPages] = amount;
  if (random.until <= random.from) fields.Refuse("until", "must be after from");
  if (random.shortest > random.longest || random.longest <= absl::ZeroDuration())
    fields.Refuse("longest", "must be more than 0 and no less than shortest");
  fields.Done();
  return random;
}

// At the place in the file where each fault stands.
void CheckAgainst(const YAML::Node& node, const Fault& fault, const ClusterShape& cluster, Problem* problem) {
  const absl::Status checked = CheckSchedule({0, {fault}}, cluster);
  if (!checked.ok()) problem->Add(node, std::string(checked.message()));
}

}  // namespace

FaultSpec ReadFaults(const YAML::Node& node, ClusterShape* cluster, Problem* problem) {
  FaultSpec spec;
  if (!node.IsDefined() || node.IsNull()) return spec;
  if (!node.IsSequence()) problem->Add(node, "faults must be a list");
  for (size_t i = 0; node.IsSequence() && i < node.size(); ++i) {
    const YAML::Node item = node[i];
    if (!item.IsMap() || !item["random"].IsDefined()) {
      spec.fixed.push_back(ReadFault(item, *cluster, problem));
      if (problem->ok()) CheckAgainst(item, spec.fixed.back(), *cluster, problem);
      cluster->own_networks |= OnTheNetwork(spec.fixed.back().kind);
      continue;
    }
    if (spec.random) problem->Add(item, "there can be one random: only");
    Fields fields(item, "fault", problem);
    spec.random = ReadRandom(fields.Node("random"), problem);
    fields.Done();
    for (const FaultKind kind : spec.random->kinds) cluster->own_networks |= OnTheNetwork(kind);
    const absl::Status drawn =
        problem->ok() ? MakeSchedule({{}, spec.random}, *cluster, 1).status() : absl::OkStatus();
    if (!drawn.ok()) problem->Add(item, std::string(drawn.message()));
  }
  return spec;
}

}  // namespace baton::chaos
