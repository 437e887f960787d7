#include "tools/chaos/progress_line.h"

#include <cstdio>

#include "absl/strings/str_format.h"
#include "tools/ctl/table.h"

namespace baton::chaos {
namespace {

constexpr absl::Duration kEvery = absl::Milliseconds(200), kEveryLine = absl::Seconds(10);

}  // namespace

void ProgressLine::Show(const std::string& text) {
  const MonoTime now = clock_.Now();
  if (text == shown_ || now - shown_at_ < (terminal_ ? kEvery : kEveryLine)) return;
  shown_ = text;
  shown_at_ = now;
  const std::string line =
      absl::StrFormat("baton: %4.0f s %s", absl::ToDoubleSeconds(now - began_), ctl::Shorten(text, 180));
  absl::FPrintF(stderr, "%s%s%s", terminal_ ? "\r\033[K" : "", line, terminal_ ? "" : "\n");
  fflush(stderr);
}

void ProgressLine::End() {
  if (terminal_ && !shown_.empty()) absl::FPrintF(stderr, "\r\033[K");
  shown_.clear();
}

}  // namespace baton::chaos
