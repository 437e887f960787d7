#pragma once

// Reports of run records (tools/load/run_record.h): one HTML file that needs nothing else, or text. With
// several records, they stand side by side, and each is compared with the first.

#include <string>

#include "absl/status/status.h"
#include "absl/types/span.h"
#include "tools/load/run_record.h"

namespace baton::report {

inline constexpr size_t kMostRecords = 8;

// A page without script, network or fonts; inline SVG; light, dark and print. Well-formed XML whatever the
// records hold, of bounded size: long series are thinned, long lists cut, and said to be.
std::string RenderHtml(absl::Span<const load::RunRecord> records);

// The same for a terminal, without pictures.
std::string RenderText(absl::Span<const load::RunRecord> records);

// RenderHtml into a file; readers see the old one or the new. INVALID_ARGUMENT unless there are 1 to
// kMostRecords.
absl::Status WriteReport(absl::Span<const load::RunRecord> records, const std::string& path);

}  // namespace baton::report
