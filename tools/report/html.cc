#include "tools/report/html.h"

#include <algorithm>

#include "absl/strings/str_cat.h"
#include "tools/report/escape.h"
#include "tools/report/style.h"

namespace baton::report {
namespace {

std::string Attribute(absl::string_view name, absl::string_view value) {
  return value.empty() ? "" : absl::StrCat(" ", name, "=\"", Escape(value), "\"");
}

std::string Markup(const TableCell& cell) {
  return absl::StrCat(
      "<td", Attribute("class", cell.css), Attribute("title", cell.hint), ">", Escape(cell.text),
      cell.small.empty() ? "" : absl::StrCat("<br/><small>", Escape(cell.small), "</small>"), "</td>");
}

}  // namespace

std::string Page(absl::string_view title, absl::string_view markup) {
  return absl::StrCat(
      "<!DOCTYPE html>\n<html xmlns=\"http://www.w3.org/1999/xhtml\" lang=\"en\">\n<head>\n"
      "<meta charset=\"utf-8\"/>\n<meta name=\"viewport\" content=\"width=device-width, initial-scale=1\"/>\n"
      "<meta http-equiv=\"Content-Security-Policy\" content=\"default-src 'none'; style-src "
      "'unsafe-inline'\"/>\n"
      "<meta name=\"color-scheme\" content=\"light dark\"/>\n<title>",
      Escape(title, 200), "</title>\n<style>\n", kStyle, "</style>\n</head>\n<body>\n", markup,
      "</body>\n</html>\n");
}

std::string Section(absl::string_view title, absl::string_view markup) {
  if (markup.empty()) return "";
  return absl::StrCat("<section>\n<h2>", Escape(title), "</h2>\n", markup, "</section>\n");
}

std::string Paragraph(absl::string_view text, absl::string_view css) {
  return absl::StrCat("<p", Attribute("class", css), ">", Escape(text, 8000), "</p>\n");
}

std::string Markup(const Table& table, size_t most) {
  if (table.rows.empty()) return "";
  std::string out = "<div class=\"wide\"><table>\n<thead><tr>";
  for (const std::string& cell : table.heading) absl::StrAppend(&out, "<th>", Escape(cell), "</th>");
  absl::StrAppend(&out, "</tr></thead>\n<tbody>\n");
  for (size_t i = 0; i < std::min(most, table.rows.size()); ++i) {
    absl::StrAppend(&out, "<tr>");
    for (const TableCell& cell : table.rows[i]) absl::StrAppend(&out, Markup(cell));
    absl::StrAppend(&out, "</tr>\n");
  }
  absl::StrAppend(&out, "</tbody></table></div>\n");
  if (table.rows.size() > most) {
    absl::StrAppend(&out, Paragraph(absl::StrCat("and ", table.rows.size() - most, " more"), "note"));
  }
  return out;
}

std::string Figures(const std::vector<std::string>& pictures) {
  std::string out;
  for (const std::string& picture : pictures) {
    if (!picture.empty()) absl::StrAppend(&out, "<figure>", picture, "</figure>\n");
  }
  return out.empty() ? "" : absl::StrCat("<div class=\"figures\">\n", out, "</div>\n");
}

}  // namespace baton::report
