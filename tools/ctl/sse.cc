#include "tools/ctl/sse.h"

#include <boost/json.hpp>

#include "absl/strings/strip.h"

namespace baton::ctl {

namespace json = boost::json;

std::vector<std::string> SseReader::Add(absl::string_view bytes) {
  constexpr size_t kMostBytes = 1 << 20;
  std::vector<std::string> values;
  for (const char c : bytes) {
    if (c != '\n') {
      if (line_.size() < kMostBytes) line_.push_back(c);
      continue;
    }
    absl::string_view line = line_;
    absl::ConsumeSuffix(&line, "\r");
    if (absl::ConsumePrefix(&line, "id: ")) id_ = std::string(line);
    if (absl::ConsumePrefix(&line, "data:") && line_.size() < kMostBytes) {
      absl::ConsumePrefix(&line, " ");
      values.emplace_back(line);
      last_id_ = id_;
    }
    line_.clear();
  }
  return values;
}

absl::StatusOr<std::string> DeltaText(const std::string& event) {
  json::error_code error;
  const json::value value = json::parse(event, error);
  if (error) return absl::DataLossError("the server sent an event that is not JSON");
  json::error_code absent;
  if (value.find_pointer("/error", absent) != nullptr) return absl::AbortedError(ErrorMessage(event));
  const json::value* content = value.find_pointer("/choices/0/delta/content", absent);
  return content != nullptr && content->is_string() ? json::value_to<std::string>(*content) : std::string();
}

std::string ErrorMessage(const std::string& body) {
  json::error_code error;
  const json::value value = json::parse(body, error);
  const json::value* message = error ? nullptr : value.find_pointer("/error/message", error);
  return message != nullptr && message->is_string() ? json::value_to<std::string>(*message) : body;
}

}  // namespace baton::ctl
