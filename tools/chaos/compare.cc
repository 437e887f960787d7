#include <algorithm>
#include <set>

#include "absl/strings/str_cat.h"
#include "absl/strings/str_format.h"
#include "tools/chaos/experiment.h"

namespace baton::chaos {
namespace {

std::optional<double> Median(std::vector<double> values) {
  if (values.empty()) return std::nullopt;
  std::sort(values.begin(), values.end());
  const size_t half = values.size() / 2;
  return values.size() % 2 == 1 ? values[half] : (values[half - 1] + values[half]) / 2;
}

std::optional<double> MedianOf(const std::vector<Evidence>& runs, const std::string& label, double rate,
                               const std::string& metric) {
  std::vector<double> values;
  for (const Evidence& run : runs) {
    const auto found = run.figures.find(metric);
    if (run.label == label && run.rate == rate && found != run.figures.end()) values.push_back(found->second);
  }
  return Median(std::move(values));
}

std::set<double> RatesOf(const std::string& label, const std::vector<Evidence>& runs) {
  std::set<double> rates;
  for (const Evidence& run : runs) {
    if (run.label == label) rates.insert(run.rate);
  }
  return rates;
}

struct Rates {
  double left = 0, right = 0;
};

// Where both ran; where each ran at one rate of its own, there.
std::vector<Rates> RatesToCompare(const Comparison& comparison, const std::vector<Evidence>& runs) {
  const std::set<double> left = RatesOf(comparison.left, runs), right = RatesOf(comparison.right, runs);
  std::vector<Rates> rates;
  for (const double rate : left) {
    if (right.contains(rate) && (!comparison.rate || rate == *comparison.rate)) rates.push_back({rate, rate});
  }
  if (rates.empty() && !comparison.rate && left.size() == 1 && right.size() == 1)
    rates.push_back({*left.begin(), *right.begin()});
  return rates;
}

std::string BoundText(const Comparison& comparison) {
  std::string text;
  if (comparison.at_least) absl::StrAppend(&text, " >= ", *comparison.at_least);
  if (comparison.at_most) absl::StrAppend(&text, " <= ", *comparison.at_most);
  return text;
}

Compared CompareAt(const Comparison& comparison, Rates at, const std::vector<Evidence>& runs) {
  Compared result;
  result.check.name = absl::StrCat(comparison.metric, " ", comparison.left, " / ", comparison.right,
                                   BoundText(comparison), absl::StrFormat(" at %g/s", at.left),
                                   at.left == at.right ? "" : absl::StrFormat(" and %g/s", at.right));
  const auto left = MedianOf(runs, comparison.left, at.left, comparison.metric);
  const auto right = MedianOf(runs, comparison.right, at.right, comparison.metric);
  if (!left || !right || *right == 0) {
    result.check.detail = absl::StrCat("no figure of ", !left ? comparison.left : comparison.right,
                                       ": too few samples, or no such metric");
    return result;
  }
  const double ratio = *left / *right;
  result.check.ok = (!comparison.at_least || ratio >= *comparison.at_least) &&
                    (!comparison.at_most || ratio <= *comparison.at_most);
  result.check.detail = absl::StrFormat("%.4g / %.4g = %.3g", *left, *right, ratio);
  load::Row row;
  row.name = absl::StrFormat("%s of %s at %g/s", comparison.metric, comparison.left, at.left);
  row.value = *left;
  row.peer = comparison.right;
  row.peer_value = *right;
  // More is better in every row: where the bound is an upper one, less is.
  row.ratio = comparison.at_most && *left != 0 ? *right / *left : ratio;
  if (comparison.at_most && *comparison.at_most != 0)
    row.target = 1 / *comparison.at_most;
  else if (comparison.at_least)
    row.target = *comparison.at_least;
  result.row = row;
  return result;
}

}  // namespace

std::vector<Compared> Compare(const std::vector<Comparison>& comparisons, const std::vector<Evidence>& runs) {
  std::vector<Compared> results;
  for (const Comparison& comparison : comparisons) {
    const std::vector<Rates> rates = RatesToCompare(comparison, runs);
    for (const Rates& at : rates) results.push_back(CompareAt(comparison, at, runs));
    if (!rates.empty()) continue;
    Compared missing;
    missing.check = {absl::StrCat(comparison.metric, " ", comparison.left, " / ", comparison.right), false,
                     "both never ran at one rate"};
    results.push_back(missing);
  }
  return results;
}

}  // namespace baton::chaos
