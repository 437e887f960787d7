#pragma once

// One live line on a terminal; elsewhere a line now and then. Not thread-safe.

#include <string>

#include "common/clock.h"

namespace baton::chaos {

class ProgressLine {
 public:
  explicit ProgressLine(bool terminal) : terminal_(terminal), began_(clock_.Now()) {}
  ~ProgressLine() { End(); }
  void Show(const std::string& text);
  void End();

 private:
  const bool terminal_;
  const SteadyClock clock_;
  const MonoTime began_;
  MonoTime shown_at_ = absl::InfinitePast();
  std::string shown_;
};

}  // namespace baton::chaos
