#include "tools/load/trace.h"

#include <algorithm>
#include <boost/json.hpp>
#include <filesystem>

#include "absl/strings/ascii.h"
#include "absl/strings/match.h"
#include "absl/strings/numbers.h"
#include "absl/strings/str_cat.h"
#include "absl/strings/str_split.h"
#include "common/status_macros.h"
#include "tools/ctl/files.h"

namespace baton::load {
namespace {

namespace json = boost::json;

constexpr size_t kMostRows = 2000000;
constexpr size_t kMostFileBytes = size_t{1} << 30;
constexpr double kMostTokens = 1e7;

absl::Status Wrong(size_t line, absl::string_view what) {
  return absl::InvalidArgumentError(absl::StrCat("line ", line, ": ", what));
}

bool ReadCount(const json::object& object, const char* key, double most, int64_t& into) {
  const json::value* value = object.if_contains(key);
  if (value == nullptr || !value->is_number()) return false;
  const double number = value->to_number<double>();
  if (!(number >= 0 && number <= most)) return false;
  into = static_cast<int64_t>(number);
  return true;
}

absl::StatusOr<TraceRow> MooncakeRow(absl::string_view line, size_t number) {
  boost::system::error_code error;
  const json::value value = json::parse({line.data(), line.size()}, error);
  const json::object* object = error ? nullptr : value.if_object();
  int64_t ms = 0;
  TraceRow row;
  if (object == nullptr || !ReadCount(*object, "timestamp", 1e15, ms) ||
      !ReadCount(*object, "input_length", kMostTokens, row.input_tokens) ||
      !ReadCount(*object, "output_length", kMostTokens, row.output_tokens))
    return Wrong(number, "wanted {\"timestamp\", \"input_length\", \"output_length\", \"hash_ids\"}");
  row.at = absl::Milliseconds(ms);
  const json::value* ids = object->if_contains("hash_ids");
  if (ids == nullptr || !ids->is_array()) return row;
  for (const json::value& id : ids->get_array()) {
    const uint64_t block = id.to_number<uint64_t>(error);
    if (error || block >> 60 != 0) return Wrong(number, "a hash id that is no small count");
    row.blocks.push_back(block);
  }
  return row;
}

absl::StatusOr<TraceRow> AzureRow(absl::string_view line, size_t number) {
  const std::vector<std::string> cells = absl::StrSplit(line, ',');
  absl::Time time;
  std::string why;
  TraceRow row;
  if (cells.size() != 3 || !absl::ParseTime("%Y-%m-%d %H:%M:%E*S", cells[0], &time, &why) ||
      !absl::SimpleAtoi(cells[1], &row.input_tokens) || !absl::SimpleAtoi(cells[2], &row.output_tokens) ||
      row.input_tokens < 0 || row.input_tokens > kMostTokens || row.output_tokens < 0 ||
      row.output_tokens > kMostTokens)
    return Wrong(number, "wanted TIMESTAMP,ContextTokens,GeneratedTokens");
  row.at = time - absl::UnixEpoch();
  return row;
}

template <typename ReadRow>
absl::StatusOr<std::vector<TraceRow>> ByLines(absl::string_view text, ReadRow read) {
  std::vector<TraceRow> rows;
  size_t number = 0;
  for (absl::string_view line : absl::StrSplit(text, '\n')) {
    ++number;
    line = absl::StripAsciiWhitespace(line);
    if (line.empty() || (number == 1 && absl::StartsWithIgnoreCase(line, "timestamp"))) continue;
    if (rows.size() >= kMostRows)
      return absl::ResourceExhaustedError(absl::StrCat("over ", kMostRows, " rows"));
    BATON_ASSIGN_OR_RETURN(TraceRow row, read(line, number));
    if (row.input_tokens > 0 && row.output_tokens > 0) rows.push_back(std::move(row));
  }
  std::stable_sort(rows.begin(), rows.end(),
                   [](const TraceRow& a, const TraceRow& b) { return *a.at < *b.at; });
  if (rows.empty()) return absl::InvalidArgumentError("the trace has no requests");
  const absl::Duration first = *rows.front().at;
  for (TraceRow& row : rows) *row.at -= first;
  return rows;
}

int64_t EstimatedTokens(absl::string_view text) {
  const std::vector<absl::string_view> words =
      absl::StrSplit(text, absl::ByAnyChar(" \n\t"), absl::SkipEmpty());
  return std::max<int64_t>(1, static_cast<int64_t>(words.size()) * 4 / 3);
}

std::string Member(const json::object& object, const char* key) {
  const json::value* value = object.if_contains(key);
  return value != nullptr && value->is_string() ? std::string(value->get_string()) : "";
}

// Pairs of what a human says and a model answers; what is out of step is passed over.
TraceRow ShareGptRow(const json::array& messages) {
  TraceRow row;
  std::string said;
  for (const json::value& message : messages) {
    const json::object* object = message.if_object();
    if (object == nullptr) continue;
    const std::string from = Member(*object, "from"), text = Member(*object, "value");
    if (from == "human" || from == "user") {
      said = text;
    } else if (!said.empty() && !text.empty()) {
      row.turns.push_back({said, EstimatedTokens(said), EstimatedTokens(text)});
      said.clear();
    }
  }
  if (row.turns.empty()) return row;
  row.input_tokens = row.turns[0].input_tokens;
  row.output_tokens = row.turns[0].output_tokens;
  return row;
}

absl::StatusOr<std::vector<TraceRow>> ShareGpt(absl::string_view text) {
  boost::system::error_code error;
  const json::value value = json::parse({text.data(), text.size()}, error);
  const json::array* conversations = error ? nullptr : value.if_array();
  if (conversations == nullptr) return absl::InvalidArgumentError("wanted a JSON array of conversations");
  std::vector<TraceRow> rows;
  for (const json::value& conversation : *conversations) {
    const json::object* object = conversation.if_object();
    const json::value* messages = object == nullptr ? nullptr : object->if_contains("conversations");
    if (messages == nullptr || !messages->is_array())
      return absl::InvalidArgumentError(
          absl::StrCat("element ", rows.size(), ": wanted {\"conversations\": [{\"from\", \"value\"}]}"));
    TraceRow row = ShareGptRow(messages->get_array());
    if (!row.turns.empty()) rows.push_back(std::move(row));
  }
  if (rows.empty()) return absl::InvalidArgumentError("the trace has no requests");
  return rows;
}

}  // namespace

absl::StatusOr<std::vector<TraceRow>> ParseTrace(absl::string_view text, absl::string_view format) {
  if (format == "auto") {
    const absl::string_view start = absl::StripLeadingAsciiWhitespace(text);
    format = absl::StartsWith(start, "[") ? "sharegpt" : absl::StartsWith(start, "{") ? "mooncake" : "azure";
  }
  if (format == "mooncake") return ByLines(text, MooncakeRow);
  if (format == "azure") return ByLines(text, AzureRow);
  if (format == "sharegpt") return ShareGpt(text);
  return absl::InvalidArgumentError(
      absl::StrCat("a trace is mooncake, azure, sharegpt or auto, not '", format, "'"));
}

absl::StatusOr<std::vector<TraceRow>> ReadTrace(const std::string& path, absl::string_view format) {
  std::error_code ignored;
  const uintmax_t size = std::filesystem::file_size(path, ignored);
  if (!ignored && size > kMostFileBytes)
    return absl::ResourceExhaustedError(absl::StrCat(path, " is over 1 GB"));
  BATON_ASSIGN_OR_RETURN(const std::string text, ctl::ReadFile(path));
  absl::StatusOr<std::vector<TraceRow>> rows = ParseTrace(text, format);
  if (rows.ok()) return rows;
  return absl::Status(rows.status().code(), absl::StrCat(path, ": ", rows.status().message()));
}

}  // namespace baton::load
