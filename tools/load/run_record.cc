#include "tools/load/run_record.h"

#include <boost/json.hpp>
#include <fstream>
#include <thread>

#include "absl/strings/str_cat.h"
#include "absl/strings/strip.h"
#include "absl/time/clock.h"
#include "common/status_macros.h"
#include "tools/ctl/files.h"

namespace baton::load {
namespace {

namespace json = boost::json;

constexpr size_t kMostElements = 1000000;

absl::Status Wrong(absl::string_view what, absl::string_view wanted) {
  return absl::InvalidArgumentError(absl::StrCat(what, ": must be ", wanted));
}

// Each Read leaves `into` as it is if the value is null, where null may stand for "none".
absl::Status Read(const json::value& value, const std::string& at, std::string& into) {
  if (!value.is_string()) return Wrong(at, "a text");
  into = std::string(value.get_string());
  return absl::OkStatus();
}

absl::Status Read(const json::value& value, const std::string& at, bool& into) {
  if (!value.is_bool()) return Wrong(at, "true or false");
  into = value.get_bool();
  return absl::OkStatus();
}

absl::Status Read(const json::value& value, const std::string& at, double& into) {
  if (value.is_null()) return absl::OkStatus();
  if (!value.is_number()) return Wrong(at, "a number");
  into = value.to_number<double>();
  return absl::OkStatus();
}

absl::Status Read(const json::value& value, const std::string& at, int64_t& into) {
  double number = 0;
  BATON_RETURN_IF_ERROR(Read(value, at, number));
  if (!(number >= 0 && number < 1e15)) return Wrong(at, "a count");
  into = static_cast<int64_t>(number);
  return absl::OkStatus();
}

absl::Status Read(const json::value& value, const std::string& at, int& into) {
  int64_t number = 0;
  BATON_RETURN_IF_ERROR(Read(value, at, number));
  if (number > 1000000) return Wrong(at, "a smaller count");
  into = static_cast<int>(number);
  return absl::OkStatus();
}

template <typename Value>
absl::Status Read(const json::value& value, const std::string& at, std::optional<Value>& into) {
  if (value.is_null()) return absl::OkStatus();
  into.emplace();
  return Read(value, at, *into);
}

absl::Status Read(const json::value& value, const std::string& at, Bucket& into) {
  const json::array* pair = value.if_array();
  if (pair == nullptr || pair->size() != 2) return Wrong(at, "[upper, count]");
  BATON_RETURN_IF_ERROR(Read((*pair)[0], at, into.upper));
  return Read((*pair)[1], at, into.count);
}

// The members of an object by name; the first error stays.
class Fields {
 public:
  Fields(const json::value& value, std::string at) : object_(value.if_object()), at_(std::move(at)) {
    if (object_ == nullptr) status_ = Wrong(at_, "an object");
  }

  template <typename Value>
  Fields& Get(const char* key, Value& into);
  absl::Status status() const { return status_; }

 private:
  const json::object* object_;
  std::string at_;
  absl::Status status_;
};

absl::Status Read(const json::value& value, const std::string& at, Spread& into) {
  Fields fields(value, at);
  fields.Get("count", into.count).Get("mean", into.mean).Get("max", into.max);
  fields.Get("p50", into.p50).Get("p90", into.p90).Get("p95", into.p95);
  return fields.Get("p99", into.p99).Get("p999", into.p999).status();
}

absl::Status Read(const json::value& value, const std::string& at, Mark& into) {
  return Fields(value, at).Get("at_s", into.at_s).Get("kind", into.kind).Get("what", into.what).status();
}

absl::Status Read(const json::value& value, const std::string& at, Check& into) {
  return Fields(value, at).Get("name", into.name).Get("ok", into.ok).Get("detail", into.detail).status();
}

absl::Status Read(const json::value& value, const std::string& at, Row& into) {
  Fields fields(value, at);
  fields.Get("name", into.name).Get("value", into.value).Get("unit", into.unit).Get("peer", into.peer);
  return fields.Get("peer_value", into.peer_value)
      .Get("ratio", into.ratio)
      .Get("target", into.target)
      .status();
}

absl::Status Read(const json::value& value, const std::string& at, Timeline& into);
absl::Status Read(const json::value& value, const std::string& at, Summary& into);
absl::Status Read(const json::value& value, const std::string& at, RunResult& into);

template <typename Value>
absl::Status Read(const json::value& value, const std::string& at, std::vector<Value>& into) {
  const json::array* array = value.if_array();
  if (array == nullptr) return Wrong(at, "an array");
  if (array->size() > kMostElements) return Wrong(at, "shorter");
  into.resize(array->size());
  for (size_t i = 0; i < into.size(); ++i) {
    BATON_RETURN_IF_ERROR(Read((*array)[i], absl::StrCat(at, "[", i, "]"), into[i]));
  }
  return absl::OkStatus();
}

template <typename Value>
absl::Status Read(const json::value& value, const std::string& at, std::map<std::string, Value>& into) {
  const json::object* object = value.if_object();
  if (object == nullptr) return Wrong(at, "an object");
  for (const auto& member : *object) {
    const std::string key(member.key());
    BATON_RETURN_IF_ERROR(Read(member.value(), absl::StrCat(at, ".", key), into[key]));
  }
  return absl::OkStatus();
}

template <typename Value>
Fields& Fields::Get(const char* key, Value& into) {
  if (!status_.ok()) return *this;
  const json::value* value = object_->if_contains(key);
  if (value != nullptr) status_ = Read(*value, absl::StrCat(at_, at_.empty() ? "" : ".", key), into);
  return *this;
}

absl::Status Read(const json::value& value, const std::string& at, Timeline& into) {
  return Fields(value, at).Get("bin_s", into.bin_s).Get("series", into.series).status();
}

absl::Status Read(const json::value& value, const std::string& at, Summary& into) {
  Fields fields(value, at);
  fields.Get("requests", into.requests).Get("completed", into.completed).Get("cancelled", into.cancelled);
  fields.Get("errors", into.errors).Get("requests_per_s", into.requests_per_s);
  fields.Get("input_tokens_per_s", into.input_tokens_per_s);
  fields.Get("output_tokens_per_s", into.output_tokens_per_s);
  fields.Get("goodput_per_s", into.goodput_per_s).Get("good_share", into.good_share);
  fields.Get("slo", into.slo).Get("tenants", into.tenants);
  BATON_RETURN_IF_ERROR(fields.status());
  for (const auto& member : value.get_object()) {  // every other object is a distribution
    const std::string key(member.key());
    const bool spread = member.value().is_object() && key != "errors" && key != "slo" && key != "tenants";
    if (spread) BATON_RETURN_IF_ERROR(Read(member.value(), absl::StrCat(at, ".", key), into.spreads[key]));
  }
  return absl::OkStatus();
}

absl::Status Read(const json::value& value, const std::string& at, RunResult& into) {
  Fields fields(value, at);
  fields.Get("label", into.label).Get("rate", into.rate).Get("repeat", into.repeat);
  fields.Get("duration_s", into.duration_s).Get("summary", into.summary);
  fields.Get("histograms", into.histograms).Get("timeline", into.timeline);
  return fields.Get("marks", into.marks).status();
}

}  // namespace

absl::StatusOr<RunRecord> ParseRunRecord(absl::string_view text) {
  if (text.size() > kMostRecordBytes)
    return absl::ResourceExhaustedError("a run record of that size is not read");
  boost::system::error_code error;
  const json::value value = json::parse({text.data(), text.size()}, error);
  if (error) return absl::InvalidArgumentError(absl::StrCat("not JSON: ", error.message()));
  RunRecord record;
  std::string format;
  Fields fields(value, "");
  fields.Get("format", format);
  BATON_RETURN_IF_ERROR(fields.status());
  if (format != kRunFormat) return Wrong("format", absl::StrCat("\"", kRunFormat, "\""));
  fields.Get("name", record.name).Get("started", record.started).Get("machine", record.machine);
  fields.Get("commit", record.commit).Get("versions", record.versions).Get("config", record.config);
  fields.Get("valid", record.valid).Get("invalid_why", record.invalid_why);
  fields.Get("hypothesis", record.hypothesis).Get("held", record.held).Get("expected", record.expected);
  fields.Get("rows", record.rows).Get("checks", record.checks).Get("runs", record.runs);
  BATON_RETURN_IF_ERROR(fields.status());
  return record;
}

absl::StatusOr<RunRecord> ReadRunRecord(const std::string& path) {
  BATON_ASSIGN_OR_RETURN(const std::string text, ctl::ReadFile(path));
  absl::StatusOr<RunRecord> record = ParseRunRecord(text);
  if (record.ok()) return record;
  return absl::Status(record.status().code(), absl::StrCat(path, ": ", record.status().message()));
}

absl::Status WriteRunRecord(const std::string& path, const RunRecord& record) {
  return ctl::WriteFileAtomically(path, ToJson(record));
}

std::string UtcNow() {
  return absl::FormatTime("%Y-%m-%dT%H:%M:%SZ", absl::Now(), absl::UTCTimeZone());
}

std::string MachineName() {
  std::ifstream info("/proc/cpuinfo");
  std::string line, name = "unknown processor";
  while (std::getline(info, line)) {
    if (line.rfind("model name", 0) != 0) continue;
    name = line.substr(line.find(':') + 2);
    break;
  }
  return absl::StrCat(name, ", ", std::thread::hardware_concurrency(), " cores");
}

}  // namespace baton::load
