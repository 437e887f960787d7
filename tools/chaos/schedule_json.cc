#include <boost/json.hpp>

#include "absl/strings/str_cat.h"
#include "common/status_macros.h"
#include "tools/chaos/fault.h"

namespace baton::chaos {
namespace {

namespace json = boost::json;

constexpr char kFormat[] = "baton-faults-1";
constexpr size_t kMostFaults = 10000;

// As text, so that it comes back to the nanosecond.
std::string Text(absl::Duration duration) {
  return duration == absl::InfiniteDuration() ? "never" : absl::FormatDuration(duration);
}

absl::StatusOr<std::string> ReadText(const json::object& object, const char* key) {
  const json::value* value = object.if_contains(key);
  if (value == nullptr) return std::string();
  if (!value->is_string()) return absl::InvalidArgumentError(absl::StrCat(key, " must be a text"));
  return std::string(value->get_string());
}

absl::StatusOr<absl::Duration> ReadDuration(const json::object& object, const char* key) {
  BATON_ASSIGN_OR_RETURN(const std::string text, ReadText(object, key));
  absl::Duration duration;
  if (text.empty()) return duration;
  if (text == "never") return absl::InfiniteDuration();
  if (!absl::ParseDuration(text, &duration) || duration < absl::ZeroDuration())
    return absl::InvalidArgumentError(
        absl::StrCat(key, " must be a duration such as 1.5s, not '", text, "'"));
  return duration;
}

absl::StatusOr<Fault> ReadFault(const json::value& value) {
  const json::object* object = value.if_object();
  if (object == nullptr) return absl::InvalidArgumentError("not an object");
  Fault fault;
  BATON_ASSIGN_OR_RETURN(const std::string kind, ReadText(*object, "kind"));
  BATON_ASSIGN_OR_RETURN(fault.kind, ParseFaultKind(kind));
  BATON_ASSIGN_OR_RETURN(fault.at, ReadDuration(*object, "at"));
  BATON_ASSIGN_OR_RETURN(fault.target, ReadText(*object, "target"));
  BATON_ASSIGN_OR_RETURN(fault.peer, ReadText(*object, "peer"));
  BATON_ASSIGN_OR_RETURN(fault.lasting, ReadDuration(*object, "for"));
  BATON_ASSIGN_OR_RETURN(fault.restart_after, ReadDuration(*object, "restart_after"));
  if (fault.target.empty()) return absl::InvalidArgumentError("it has no target");
  if (const json::value* amount = object->if_contains("amount")) {
    if (!amount->is_number()) return absl::InvalidArgumentError("amount must be a number");
    fault.amount = amount->to_number<double>();
  }
  return fault;
}

}  // namespace

std::string ToJson(const Schedule& schedule) {
  std::string text =
      absl::StrCat("{\"format\": \"", kFormat, "\", \"seed\": ", schedule.seed, ", \"faults\": [");
  for (const Fault& fault : schedule.faults) {
    json::object object{{"at", Text(fault.at)}, {"kind", NameOf(fault.kind)}, {"target", fault.target}};
    if (!fault.peer.empty()) object["peer"] = fault.peer;
    if (Lasts(fault.kind)) object["for"] = Text(fault.lasting);
    if (fault.amount != 0) object["amount"] = fault.amount;
    if (Ends(fault.kind)) object["restart_after"] = Text(fault.restart_after);
    absl::StrAppend(&text, &fault == &schedule.faults.front() ? "\n  " : ",\n  ", json::serialize(object));
  }
  return text + "]}\n";
}

absl::StatusOr<Schedule> ParseSchedule(const std::string& text) {
  json::error_code error;
  const json::value value = json::parse(text, error);
  const json::object* object = error ? nullptr : value.if_object();
  const json::value* format = object == nullptr ? nullptr : object->if_contains("format");
  if (format == nullptr || !format->is_string() || format->get_string() != kFormat)
    return absl::InvalidArgumentError(absl::StrCat("not a fault schedule (", kFormat, ")"));
  const json::value* faults = object->if_contains("faults");
  if (faults == nullptr || !faults->is_array() || faults->get_array().size() > kMostFaults)
    return absl::InvalidArgumentError(absl::StrCat("faults must be a list of at most ", kMostFaults));
  Schedule schedule;
  if (const json::value* seed = object->if_contains("seed")) {
    schedule.seed = seed->is_uint64()                            ? seed->get_uint64()
                    : seed->is_int64() && seed->get_int64() >= 0 ? static_cast<uint64_t>(seed->get_int64())
                                                                 : 0;
  }
  for (const json::value& one : faults->get_array()) {
    auto fault = ReadFault(one);
    if (!fault.ok()) {
      return absl::InvalidArgumentError(
          absl::StrCat("fault ", schedule.faults.size() + 1, ": ", fault.status().message()));
    }
    schedule.faults.push_back(*std::move(fault));
  }
  return schedule;
}

}  // namespace baton::chaos
