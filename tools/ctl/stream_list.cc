#include "tools/ctl/stream_list.h"

#include <boost/json.hpp>

#include "absl/strings/match.h"
#include "absl/strings/str_cat.h"
#include "absl/strings/str_format.h"

namespace baton::ctl {
namespace {

namespace json = boost::json;

std::string Text(const json::object& object, const char* key) {
  const json::value* value = object.if_contains(key);
  if (value == nullptr || value->is_null()) return "-";
  return value->is_string() ? std::string(value->get_string()) : json::serialize(*value);
}

std::vector<json::object> Streams(const std::string& text) {
  json::error_code error;
  const json::value value = json::parse(text, error);
  const json::object* object = error ? nullptr : value.if_object();
  const json::value* list = object == nullptr ? nullptr : object->if_contains("streams");
  std::vector<json::object> streams;
  if (list == nullptr || !list->is_array()) return streams;
  for (const json::value& stream : list->get_array()) {
    if (stream.is_object()) streams.push_back(stream.get_object());
  }
  return streams;
}

}  // namespace

std::vector<std::vector<std::string>> StreamRows(const std::string& streams) {
  std::vector<std::vector<std::string>> rows = {{"STREAM", "WORKER", "RANK", "PROMPT", "TOKENS", "MOVABLE"}};
  for (const json::object& stream : Streams(streams)) {
    const bool movable = Text(stream, "movable") == "true";
    rows.push_back({Text(stream, "id"), Text(stream, "worker"), Text(stream, "rank"),
                    Text(stream, "prompt_tokens"), Text(stream, "tokens"),
                    movable ? "yes" : Text(stream, "why_not")});
  }
  return rows;
}

absl::StatusOr<std::string> FindStream(const std::string& streams, const std::string& prefix) {
  std::string found;
  for (const json::object& stream : Streams(streams)) {
    const std::string id = Text(stream, "id");
    if (!absl::StartsWithIgnoreCase(id, prefix)) continue;
    if (!found.empty())
      return absl::InvalidArgumentError(
          absl::StrCat("several streams begin with '", prefix, "': say more of the id"));
    found = id;
  }
  if (found.empty())
    return absl::NotFoundError(
        absl::StrCat("no stream that runs begins with '", prefix, "' (./baton streams lists them)"));
  return found;
}

std::string MoveLine(const std::string& answer) {
  json::error_code error;
  const json::value value = json::parse(answer, error);
  if (error || !value.is_object()) return "moved";
  const json::object& moved = value.get_object();
  const json::value* ms = moved.if_contains("ms");
  const double took = ms != nullptr && ms->is_number() ? ms->to_number<double>() : 0;
  return absl::StrFormat("moved %s from %s to %s in %.1f ms", Text(moved, "stream"), Text(moved, "from"),
                         Text(moved, "to"), took);
}

}  // namespace baton::ctl
