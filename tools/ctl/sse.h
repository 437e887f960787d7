#pragma once

// Server-sent events and what the OpenAI API puts into them. Pure.

#include <string>
#include <vector>

#include "absl/status/statusor.h"
#include "absl/strings/string_view.h"

namespace baton::ctl {

// Cuts a byte stream into the values of its "data:" lines. Bounded: a line over 1 MB is dropped.
class SseReader {
 public:
  std::vector<std::string> Add(absl::string_view bytes);

 private:
  std::string line_;
};

// The text that one streamed chat event adds (may be empty). An error event becomes its message.
absl::StatusOr<std::string> DeltaText(const std::string& event);

// The message of an OpenAI error body, or the body itself.
std::string ErrorMessage(const std::string& body);

}  // namespace baton::ctl
