#include <algorithm>

#include "absl/strings/str_cat.h"
#include "tools/report/axis.h"
#include "tools/report/escape.h"
#include "tools/report/html.h"
#include "tools/report/sections.h"
#include "tools/report/verdict.h"

namespace baton::report {
namespace {

std::string HeadOf(const load::RunRecord& record, const std::string& letter) {
  const Said said = VerdictOf(record);
  const char* tone = said.tone == Tone::kGood ? " good" : said.tone == Tone::kBad ? " bad" : "";
  std::string out = absl::StrCat("<div class=\"verdict", tone, "\">\n<p>");
  if (!letter.empty()) absl::StrAppend(&out, letter, " · ", Escape(record.name), ": ");
  absl::StrAppend(&out, "<b>", Escape(said.word), "</b>");
  if (!said.detail.empty()) absl::StrAppend(&out, " ", Escape(said.detail));
  if (!record.checks.empty()) {
    absl::StrAppend(&out, " · ", HowManyHold(record), " of ", record.checks.size(), " checks hold");
  }
  absl::StrAppend(&out, "</p>\n");
  if (!record.hypothesis.empty()) absl::StrAppend(&out, Paragraph("Hypothesis: " + record.hypothesis));
  absl::StrAppend(&out, Paragraph(absl::StrCat(record.started, " · ", record.machine, " · commit ",
                                               record.commit.empty() ? "unknown" : record.commit),
                                  "note"));
  return out + "</div>\n";
}

std::string Figure(const std::optional<double>& value) {
  return value ? FormatFigure(*value) : "–";
}

}  // namespace

int View::ColourOf(const std::string& label) const {
  return static_cast<int>(std::find(labels.begin(), labels.end(), label) - labels.begin());
}

std::string HeadOf(const View& view) {
  std::string names, out;
  for (size_t i = 0; i < view.records.size(); ++i) {
    absl::StrAppend(&names, i == 0 ? "" : " · ", view.several() ? LetterOf(i) + " " : "",
                    view.records[i].name);
    absl::StrAppend(&out, HeadOf(view.records[i], view.several() ? LetterOf(i) : ""));
  }
  return absl::StrCat("<h1>", Escape(names, 300), "</h1>\n", out);
}

std::string ChecksSection(const View& view) {
  Table table;
  table.heading = {"", "check", "found"};
  for (size_t i = 0; i < view.records.size(); ++i) {
    for (const load::Check& check : ChecksInOrder(view.records[i])) {
      const std::string name = view.several() ? absl::StrCat(LetterOf(i), ": ", check.name) : check.name;
      table.rows.push_back({{check.ok ? "✓ ok" : "✗ failed", "", "", check.ok ? "ok n" : "bad n"},
                            {name, "", "", ""},
                            {check.detail, "", "", ""}});
    }
  }
  return Section("Checks", Markup(table));
}

std::string RowsSection(const View& view) {
  Table table;
  table.heading = {"figure", "value", "unit", "peer", "its value", "ratio (more is better)", "target"};
  for (size_t i = 0; i < view.records.size(); ++i) {
    for (const load::Row& row : view.records[i].rows) {
      const bool judged = row.ratio && row.target;
      const bool met = judged && *row.ratio >= *row.target;
      table.rows.push_back(
          {{view.several() ? absl::StrCat(LetterOf(i), ": ", row.name) : row.name, "", "", ""},
           {FormatFigure(row.value), "", "", "n"},
           {row.unit, "", "", ""},
           {row.peer, "", "", ""},
           {Figure(row.peer_value), "", "", "n"},
           {absl::StrCat(Figure(row.ratio), judged ? (met ? " ✓" : " ✗ missed") : ""), "", "",
            !judged ? "n"
            : met   ? "n ok"
                    : "n bad"},
           {Figure(row.target), "", "", "n"}});
    }
  }
  return Section("Figures beside a peer", Markup(table));
}

std::string FactsSection(const View& view) {
  std::string out;
  for (size_t i = 0; i < view.records.size(); ++i) {
    const load::RunRecord& record = view.records[i];
    Table table;
    const auto add = [&](const std::string& key, const std::string& value) {
      table.rows.push_back({{key, "", "", "faint"}, {value, "", "", ""}});
    };
    add("started", record.started);
    add("machine", record.machine);
    add("commit", record.commit);
    for (const auto& [key, value] : record.versions) add("version of " + key, value);
    std::string long_texts;
    for (const auto& [key, value] : record.config) {
      if (value.find('\n') == std::string::npos) {
        add(key, value);
      } else {
        absl::StrAppend(&long_texts, Paragraph(key, "note"), "<pre>", Escape(value, 20000), "</pre>\n");
      }
    }
    if (view.several()) absl::StrAppend(&out, Paragraph(absl::StrCat(LetterOf(i), ": ", record.name)));
    absl::StrAppend(&out, Markup(table), long_texts);
  }
  return Section("Configuration and machine", out);
}

}  // namespace baton::report
