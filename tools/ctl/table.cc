#include "tools/ctl/table.h"

#include <algorithm>

#include "absl/strings/ascii.h"
#include "absl/strings/str_cat.h"

namespace baton::ctl {
namespace {

bool StartsCodePoint(char c) {
  return (static_cast<unsigned char>(c) & 0xC0) != 0x80;
}

size_t CodePoints(const std::string& text) {
  return std::count_if(text.begin(), text.end(), StartsCodePoint);
}

bool IsNumeric(const std::string& cell) {
  return cell == "-" || (!cell.empty() && std::all_of(cell.begin(), cell.end(), [](char c) {
           return absl::ascii_isdigit(c) || c == '.';
         }));
}

}  // namespace

std::string FormatTable(const std::vector<std::vector<std::string>>& rows) {
  size_t columns = 0;
  for (const auto& row : rows) columns = std::max(columns, row.size());
  std::vector<size_t> width(columns, 0);
  std::vector<bool> right(columns, rows.size() > 1);
  for (size_t r = 0; r < rows.size(); ++r) {
    for (size_t c = 0; c < rows[r].size(); ++c) {
      width[c] = std::max(width[c], CodePoints(rows[r][c]));
      if (r > 0 && !IsNumeric(rows[r][c])) right[c] = false;
    }
  }
  std::string result;
  for (const auto& row : rows) {
    std::string line;
    for (size_t c = 0; c < row.size(); ++c) {
      const std::string padding(width[c] - CodePoints(row[c]), ' ');
      absl::StrAppend(&line, c > 0 ? "  " : "", right[c] ? padding : "", row[c], right[c] ? "" : padding);
    }
    absl::StrAppend(&result, absl::StripTrailingAsciiWhitespace(line), "\n");
  }
  return result;
}

std::string Shorten(const std::string& text, size_t width) {
  std::string clean = text;
  for (char& c : clean) {
    if (absl::ascii_iscntrl(c)) c = ' ';
  }
  if (CodePoints(clean) <= width) return clean;
  const std::string mark = width >= 3 ? "..." : "";
  size_t seen = 0, end = 0;
  while (end < clean.size() && (!StartsCodePoint(clean[end]) || seen < width - mark.size())) {
    seen += StartsCodePoint(clean[end++]) ? 1 : 0;
  }
  return clean.substr(0, end) + mark;
}

}  // namespace baton::ctl
