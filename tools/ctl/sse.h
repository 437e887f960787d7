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
  // Of the last event whose value was given out, if it had one.
  const std::string& last_id() const { return last_id_; }

 private:
  std::string line_, id_, last_id_;
};

// The text that one streamed chat event adds (may be empty). An error event becomes its message.
absl::StatusOr<std::string> DeltaText(const std::string& event);

// The message of an OpenAI error body, or the body itself.
std::string ErrorMessage(const std::string& body);

}  // namespace baton::ctl
