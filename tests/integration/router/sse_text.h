#pragma once

// What a client makes of a streamed answer's events, of one connection or of several: two answers are equal
// if it could not tell them apart but by their name and time.

#include <string>
#include <vector>

#include "absl/strings/string_view.h"

namespace baton::router::testing {

struct SseText {
  // Takes up to `most` events with an id from the raw bytes of a body; chunk headers between events are
  // skipped.
  void Add(absl::string_view raw, size_t most = SIZE_MAX);
  bool operator==(const SseText& other) const {
    return choices == other.choices && usage == other.usage && done == other.done;
  }

  struct Choice {
    std::string text, scores, token_ids, finish;
    int roles = 0;
    bool operator==(const Choice&) const = default;
  };
  std::vector<Choice> choices;
  std::string usage;  // but for cached_tokens, which may be others after a resume
  bool done = false;
  std::vector<std::string> ids;
};

std::ostream& operator<<(std::ostream& out, const SseText& text);

}  // namespace baton::router::testing
