#pragma once

// Finds stop strings in a stream of text pieces. Text that may turn out to be the start of a stop string is
// held back; the stop string itself and what follows never come out. Not thread-safe.
//
// Of several matches the one that is complete first wins, so that the cut does not depend on how the text was
// split.

#include <string>
#include <vector>

#include "absl/strings/string_view.h"

namespace baton::router {

class StopScanner {
 public:
  // None of `stops` is empty.
  explicit StopScanner(std::vector<std::string> stops) : stops_(std::move(stops)) {}

  // What is now known to come before any stop string. After a match: nothing.
  std::string Append(absl::string_view text);
  // The stream ended without a match: what was held back.
  std::string Flush();

  bool stopped() const { return stopped_; }
  bool holding() const { return !held_.empty(); }

 private:
  size_t Held(absl::string_view text) const;
  const std::vector<std::string> stops_;
  std::string held_;
  bool stopped_ = false;
};

}  // namespace baton::router
