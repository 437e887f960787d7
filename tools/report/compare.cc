#include "tools/report/compare.h"

#include <algorithm>
#include <cmath>
#include <map>
#include <set>

#include "absl/strings/str_cat.h"
#include "absl/strings/str_format.h"

namespace baton::report {
namespace {

constexpr size_t kLongValue = 80;

Difference Differ(const Metric& metric, const Cell& base_cell, const Cell& other_cell, const Range& base,
                  const Range& other) {
  Difference difference{&metric, base, other, std::nullopt, false, false, false};
  if (base.median != 0) difference.percent = (other.median / base.median - 1) * 100;
  difference.better =
      metric.better == Better::kMore ? other.median > base.median : other.median < base.median;
  difference.repeated = base_cell.repeats.size() > 1 && other_cell.repeats.size() > 1;
  difference.within_repeats = difference.repeated && other.least <= base.most && base.least <= other.most;
  return difference;
}

std::string SaidOf(const std::string& value) {
  return value.empty() ? "(none)" : value;
}

void Unlike(const std::string& what, const std::vector<std::string>& values,
            std::vector<std::string>* lines) {
  if (std::all_of(values.begin(), values.end(), [&](const auto& value) { return value == values[0]; }))
    return;
  const bool is_long = std::any_of(values.begin(), values.end(), [](const std::string& value) {
    return value.size() > kLongValue || value.find('\n') != std::string::npos;
  });
  std::string line = absl::StrCat(what, is_long ? " differs" : ":");
  for (size_t i = 0; i < values.size() && !is_long; ++i) {
    absl::StrAppend(&line, i == 0 ? " " : "; ", LetterOf(i), ": ", SaidOf(values[i]));
  }
  lines->push_back(std::move(line));
}

using Member = std::map<std::string, std::string> load::RunRecord::*;

void UnlikeMaps(absl::Span<const load::RunRecord> records, Member member, const std::string& prefix,
                std::vector<std::string>* lines) {
  std::set<std::string> keys;
  for (const load::RunRecord& record : records) {
    for (const auto& [key, unused] : record.*member) keys.insert(key);
  }
  for (const std::string& key : keys) {
    std::vector<std::string> values;
    for (const load::RunRecord& record : records) {
      const auto found = (record.*member).find(key);
      values.push_back(found == (record.*member).end() ? "" : found->second);
    }
    Unlike(prefix + key, values, lines);
  }
}

}  // namespace

std::vector<Pairing> PairingsOf(const std::vector<Cell>& cells) {
  std::map<size_t, std::set<std::string>> labels;
  for (const Cell& cell : cells) labels[cell.record].insert(cell.label);
  std::vector<Pairing> pairings;
  for (const Cell& base : cells) {
    if (base.record != 0) continue;
    for (const Cell& other : cells) {
      const bool alone = labels[0].size() == 1 && labels[other.record].size() == 1;
      const bool alike = other.record != 0 && other.rate == base.rate && (alone || other.label == base.label);
      if (!alike) continue;
      Pairing pairing{base, other, {}};
      for (const Metric& metric : Metrics()) {
        const std::optional<Range> left = RangeOf(base, metric), right = RangeOf(other, metric);
        if (left && right) pairing.differences.push_back(Differ(metric, base, other, *left, *right));
      }
      pairings.push_back(std::move(pairing));
    }
  }
  return pairings;
}

std::vector<std::string> UnlikeIn(absl::Span<const load::RunRecord> records) {
  std::vector<std::string> lines;
  if (records.size() < 2) return lines;
  for (const auto& [name, member] :
       {std::pair{"machine", &load::RunRecord::machine}, std::pair{"commit", &load::RunRecord::commit}}) {
    std::vector<std::string> values;
    for (const load::RunRecord& record : records) values.push_back(record.*member);
    Unlike(name, values, &lines);
  }
  UnlikeMaps(records, &load::RunRecord::versions, "version of ", &lines);
  UnlikeMaps(records, &load::RunRecord::config, "configuration, ", &lines);
  return lines;
}

std::string FormatPercent(const std::optional<double>& percent) {
  if (!percent || !std::isfinite(*percent)) return "–";
  const double size = std::abs(*percent);
  if (size < 0.05) return "0%";
  return size < 10 ? absl::StrFormat("%+.1f%%", *percent) : absl::StrFormat("%+.0f%%", *percent);
}

}  // namespace baton::report
