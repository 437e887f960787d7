#pragma once

// The page around the sections, and its tables. All that goes in as `markup` is markup already; all else is
// escaped.

#include <string>
#include <vector>

#include "absl/strings/string_view.h"

namespace baton::report {

struct TableCell {
  std::string text;
  std::string small;  // under it
  std::string hint;   // what a pointer over it shows
  std::string css;    // "n": a number; "ok", "bad", "faint"
};

struct Table {
  std::vector<std::string> heading;
  std::vector<std::vector<TableCell>> rows;
};

// A page of XML that is HTML too: no script, nothing from elsewhere.
std::string Page(absl::string_view title, absl::string_view markup);
// Empty if `markup` is.
std::string Section(absl::string_view title, absl::string_view markup);
std::string Paragraph(absl::string_view text, absl::string_view css = "");
// Rows after the first `most` are only counted.
std::string Markup(const Table& table, size_t most = 500);
// Pictures, as many beside each other as there is room for.
std::string Figures(const std::vector<std::string>& pictures);

}  // namespace baton::report
