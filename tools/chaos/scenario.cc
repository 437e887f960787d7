#include "tools/chaos/scenario.h"

#include <algorithm>

#include "absl/strings/ascii.h"
#include "absl/strings/numbers.h"
#include "absl/strings/str_cat.h"
#include "common/status_macros.h"
#include "tools/chaos/scenario_sections.h"
#include "tools/ctl/files.h"

namespace baton::chaos {
namespace {

Expectation ReadExpectation(Fields& fields, Problem* problem) {
  Expectation expected;
  const YAML::Node node = fields.Node("expected");
  if (!node.IsDefined()) return expected;
  const auto read = [&](const std::string& text) {
    if (text != "holds" && text != "fails") fields.Refuse("expected", "must be holds or fails");
    expected.holds = text != "fails";
  };
  if (node.IsScalar()) {
    read(node.Scalar());
  } else {
    Fields inner(node, "expected", problem);
    std::string result = "holds";
    inner.Choice("result", {"holds", "fails"}, &result);
    inner.Text("because", &expected.because);
    inner.Done();
    read(result);
  }
  if (!expected.holds && expected.because.empty())
    fields.Refuse("expected", "a failure needs its reason: expected: {result: fails, because: ...}");
  return expected;
}

// Names become parts of file names.
bool IsPlainName(const std::string& name) {
  return !name.empty() && name.size() <= 64 && std::all_of(name.begin(), name.end(), [](char c) {
    return absl::ascii_isalnum(static_cast<unsigned char>(c)) || c == '-' || c == '_' || c == '.';
  });
}

void ReadRates(Fields& fields, std::vector<double>* rates) {
  std::vector<std::string> words;
  if (!fields.Words("rates", &words)) return;
  for (const std::string& word : words) {
    double rate = 0;
    if (absl::SimpleAtod(word, &rate) && rate > 0 && rate <= 1e5)
      rates->push_back(rate);
    else
      fields.Refuse("rates", absl::StrCat("'", word, "' is no rate (requests a second)"));
  }
}

// One variant, merged. `file` gets what belongs to the whole file.
Scenario ReadMerged(const YAML::Node& node, ScenarioFile* file, Problem* problem) {
  Scenario scenario;
  Fields fields(node, "the scenario", problem);
  fields.Need("name");
  fields.Text("name", &scenario.name);
  if (!IsPlainName(scenario.name)) fields.Refuse("name", "must be letters, digits, '-', '_' and '.'");
  fields.Need("hypothesis");
  fields.Text("hypothesis", &scenario.hypothesis);
  scenario.expected = ReadExpectation(fields, problem);
  fields.Number("repeats", 1, 1000, &scenario.repeats);
  ReadRates(fields, &scenario.rates);
  fields.Seed("seed", &scenario.seed);
  scenario.cluster = ReadCluster(fields.Node("cluster"), problem);
  scenario.deployment = ReadDeployment(fields.Node("deployment"), problem);
  scenario.load = ReadLoad(fields.Node("load"), problem);
  scenario.faults = ReadFaults(fields.Node("faults"), &scenario.cluster, problem);
  scenario.checks = ReadChecks(fields.Node("checks"), problem);
  scenario.slo = ReadSlo(fields.Node("slo"), problem);
  file->compare = ReadCompare(fields.Node("compare"), problem);
  fields.Done();
  file->name = scenario.name;
  file->hypothesis = scenario.hypothesis;
  file->expected = scenario.expected;
  return scenario;
}

// The document, or its quick part, without `variants` and `quick`, with `over` put over it.
YAML::Node Without(const YAML::Node& root, const YAML::Node& over) {
  YAML::Node plain(YAML::NodeType::Map);
  for (const auto& entry : root) {
    if (entry.first.Scalar() != "variants" && entry.first.Scalar() != "quick")
      plain.force_insert(entry.first, entry.second);
  }
  return Merge(plain, over);
}

void CheckVariant(const YAML::Node& node, const std::string& name, Problem* problem) {
  if (!IsPlainName(name)) problem->Add(node, "a variant's name must be letters, digits, '-', '_' and '.'");
  if (!node.IsMap()) problem->Add(node, absl::StrCat("variant ", name, " must be a mapping of overrides"));
  for (const char* key : {"name", "hypothesis", "expected", "compare", "variants", "quick"}) {
    if (node.IsMap() && node[key].IsDefined())
      problem->Add(node[key], absl::StrCat(key, " is the file's, not a variant's"));
  }
}

// The quick part's own overrides of the variants: of those that there are.
void CheckQuick(const YAML::Node& quick, const YAML::Node& variants, Problem* problem) {
  if (!quick.IsDefined() || !quick.IsMap() || !quick["variants"].IsDefined()) return;
  const YAML::Node own = quick["variants"];
  if (!own.IsMap()) return problem->Add(own, "quick.variants must be a mapping (name: overrides)");
  for (const auto& entry : own) {
    const std::string name = entry.first.Scalar();
    CheckVariant(entry.second, name, problem);
    if (!variants.IsMap() || !variants[name].IsDefined())
      problem->Add(entry.first, absl::StrCat("quick.variants: there is no variant '", name, "'"));
  }
}

void CheckCompare(const ScenarioFile& file, const YAML::Node& root, Problem* problem) {
  for (const Comparison& compare : file.compare) {
    for (const std::string& name : {compare.left, compare.right}) {
      const bool known = std::any_of(file.variants.begin(), file.variants.end(),
                                     [&](const Scenario& variant) { return variant.variant == name; });
      if (!known) problem->Add(root["compare"], absl::StrCat("compare: there is no variant '", name, "'"));
    }
  }
}

absl::StatusOr<ScenarioFile> ReadRoot(const YAML::Node& root, bool quick) {
  Problem problem;
  ScenarioFile file;
  if (!root.IsMap()) problem.Add(root, "a scenario must be a mapping (key: value)");
  RefuseTwice(root, &problem);
  BATON_RETURN_IF_ERROR(problem.status());
  const YAML::Node variants = root["variants"];
  const YAML::Node over = quick ? root["quick"] : YAML::Node(YAML::NodeType::Undefined);
  if (variants.IsDefined() && (!variants.IsMap() || variants.size() == 0))
    problem.Add(variants, "variants must be a mapping (name: overrides)");
  CheckQuick(root["quick"], variants, &problem);
  BATON_RETURN_IF_ERROR(problem.status());
  const YAML::Node none(YAML::NodeType::Undefined);
  const YAML::Node over_all = over.IsDefined() && over.IsMap() ? Without(over, none) : none;
  const YAML::Node over_variants = over.IsDefined() && over.IsMap() ? over["variants"] : none;
  if (!variants.IsDefined()) file.variants.push_back(ReadMerged(Without(root, over_all), &file, &problem));
  const YAML::Node list =
      variants.IsDefined() && variants.IsMap() ? variants : YAML::Node(YAML::NodeType::Map);
  for (const auto& entry : list) {
    CheckVariant(entry.second, entry.first.Scalar(), &problem);
    if (!problem.ok()) break;
    const std::string name = entry.first.Scalar();
    YAML::Node merged = Merge(Without(root, entry.second), over_all);
    if (over_variants.IsDefined() && over_variants[name].IsDefined())
      merged = Merge(merged, over_variants[name]);
    Scenario scenario = ReadMerged(merged, &file, &problem);
    scenario.variant = name;
    file.variants.push_back(std::move(scenario));
  }
  if (problem.ok()) CheckCompare(file, root, &problem);
  BATON_RETURN_IF_ERROR(problem.status());
  return file;
}

}  // namespace

absl::StatusOr<ScenarioFile> ParseScenario(const std::string& yaml, bool quick) {
  try {
    const YAML::Node root = YAML::Load(yaml);
    BATON_ASSIGN_OR_RETURN(ScenarioFile file, ReadRoot(root, quick));
    file.text = yaml;
    return file;
  } catch (const YAML::Exception& error) {
    return absl::InvalidArgumentError(
        absl::StrCat(error.mark.line + 1, ":", error.mark.column + 1, ": not YAML: ", error.msg));
  }
}

absl::StatusOr<ScenarioFile> ReadScenario(const std::string& path, bool quick) {
  BATON_ASSIGN_OR_RETURN(const std::string text, ctl::ReadFile(path));
  absl::StatusOr<ScenarioFile> file = ParseScenario(text, quick);
  if (file.ok()) return file;
  return absl::Status(file.status().code(), absl::StrCat(path, ":", file.status().message()));
}

}  // namespace baton::chaos
