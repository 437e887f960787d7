#include "services/router/openai/stop_scanner.h"

#include <algorithm>
#include <utility>

namespace baton::router {

std::string StopScanner::Append(absl::string_view text) {
  if (stopped_) return std::string();
  held_.append(text.data(), text.size());
  size_t best_end = std::string::npos;
  size_t best_start = std::string::npos;
  for (const std::string& stop : stops_) {
    const size_t start = held_.find(stop);
    if (start == std::string::npos) continue;
    const size_t end = start + stop.size();
    if (end < best_end || (end == best_end && start < best_start)) {
      best_end = end;
      best_start = start;
    }
  }
  if (best_end != std::string::npos) {
    stopped_ = true;
    std::string out = held_.substr(0, best_start);
    held_.clear();
    return out;
  }
  const size_t keep = Held(held_);
  std::string out = held_.substr(0, held_.size() - keep);
  held_.erase(0, out.size());
  return out;
}

// Length of the longest end of `text` that begins some stop string.
size_t StopScanner::Held(absl::string_view text) const {
  size_t longest = 0;
  for (const std::string& stop : stops_) {
    for (size_t length = std::min(stop.size() - 1, text.size()); length > longest; --length) {
      if (text.substr(text.size() - length) == absl::string_view(stop).substr(0, length)) longest = length;
    }
  }
  return longest;
}

std::string StopScanner::Flush() {
  return std::exchange(held_, std::string());
}

}  // namespace baton::router
