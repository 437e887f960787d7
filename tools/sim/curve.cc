#include "tools/sim/curve.h"

#include <algorithm>
#include <boost/json.hpp>
#include <utility>

#include "absl/strings/str_cat.h"
#include "common/status_macros.h"
#include "tools/ctl/files.h"

namespace baton::simulator {
namespace {

namespace json = boost::json;

struct Field {
  const char* name;
  double StepCurve::*value;
  double least;
};

constexpr Field kFields[] = {
    {"fixed_s", &StepCurve::fixed_s, 0},
    {"token_s", &StepCurve::token_s, 1e-12},
    {"pair_s", &StepCurve::pair_s, 0},
    {"weights_s", &StepCurve::weights_s, 0},
    {"context_s", &StepCurve::context_s, 0},
    {"kv_tokens", &StepCurve::kv_tokens, 1024},
    {"kv_bytes_per_token", &StepCurve::kv_bytes_per_token, 1},
    {"link_bytes_per_s", &StepCurve::link_bytes_per_s, 1},
    {"link_latency_s", &StepCurve::link_latency_s, 0},
    {"prefill_step_tokens", &StepCurve::prefill_step_tokens, 16},
    {"decode_step_tokens", &StepCurve::decode_step_tokens, 16},
    {"max_running", &StepCurve::max_running, 1},
    {"ttft_slo_s", &StepCurve::ttft_slo_s, 1e-6},
    {"itl_slo_s", &StepCurve::itl_slo_s, 1e-6},
};
constexpr double kMost = 1e15;

absl::Status Wrong(absl::string_view field, absl::string_view why) {
  return absl::InvalidArgumentError(absl::StrCat("curve: '", field, "' ", why));
}

absl::Status ReadMember(absl::string_view name, const json::value& value, StepCurve* curve) {
  if (name == "sources") return absl::OkStatus();  // for people
  if (name == "name" || name == "about") {
    if (!value.is_string()) return Wrong(name, "is no text");
    (name == "name" ? curve->name : curve->about) = std::string(value.get_string());
    return absl::OkStatus();
  }
  for (const Field& field : kFields) {
    if (name != field.name) continue;
    if (!value.is_number()) return Wrong(name, "is no number");
    const double number = value.to_number<double>();
    if (!(number >= field.least && number <= kMost)) return Wrong(name, "is out of range");
    curve->*field.value = number;
    return absl::OkStatus();
  }
  return Wrong(name, "is not known");
}

}  // namespace

double StepCurve::StepSeconds(const StepWork& work) const {
  return fixed_s +
         std::max(token_s * work.tokens + pair_s * work.pairs, weights_s + context_s * work.context);
}

absl::StatusOr<StepCurve> ParseCurve(absl::string_view text) {
  boost::system::error_code error;
  const json::value value = json::parse({text.data(), text.size()}, error);
  const json::object* object = error ? nullptr : value.if_object();
  if (object == nullptr) return absl::InvalidArgumentError("curve: not a JSON object");
  StepCurve curve;
  for (const auto& member : *object)
    BATON_RETURN_IF_ERROR(ReadMember({member.key().data(), member.key().size()}, member.value(), &curve));
  for (const Field& field : kFields)
    if (!object->contains(field.name)) return Wrong(field.name, "is missing");
  if (curve.name.empty()) return Wrong("name", "is missing");
  return curve;
}

absl::StatusOr<StepCurve> ReadCurve(const std::string& path) {
  BATON_ASSIGN_OR_RETURN(const std::string text, ctl::ReadFile(path));
  absl::StatusOr<StepCurve> curve = ParseCurve(text);
  if (curve.ok()) return curve;
  return absl::Status(curve.status().code(), absl::StrCat(path, ": ", curve.status().message()));
}

}  // namespace baton::simulator
