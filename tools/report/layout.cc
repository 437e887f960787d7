#include "tools/report/layout.h"

#include <algorithm>
#include <numeric>

#include "tools/report/axis.h"

namespace baton::report {

std::vector<Point> Thin(const std::vector<Point>& points, size_t most) {
  if (points.size() <= most) return points;
  const auto by_y = [](const Point& a, const Point& b) { return a.y < b.y; };
  const size_t stretches = (most - 2) / 2, inner = points.size() - 2;
  std::vector<Point> kept = {points.front()};
  for (size_t i = 0; i < stretches; ++i) {
    const auto from = points.begin() + 1 + static_cast<ptrdiff_t>(i * inner / stretches);
    const auto to = points.begin() + 1 + static_cast<ptrdiff_t>((i + 1) * inner / stretches);
    if (from == to) continue;
    const auto [low, high] = std::minmax_element(from, to, by_y);
    kept.push_back(*std::min(low, high));
    if (low != high) kept.push_back(*std::max(low, high));
  }
  kept.push_back(points.back());
  return kept;
}

std::vector<std::vector<Point>> Pieces(const std::vector<std::optional<double>>& bins, double bin_s,
                                       size_t most) {
  const size_t shared = bins.size() <= most ? 1 : (bins.size() * 2 + most - 1) / most;
  std::vector<std::vector<Point>> pieces(1);
  for (size_t from = 0; from < bins.size(); from += shared) {
    std::vector<Point> here;
    for (size_t i = from; i < std::min(bins.size(), from + shared); ++i) {
      if (bins[i] && Drawable(*bins[i])) here.push_back({(static_cast<double>(i) + 0.5) * bin_s, *bins[i]});
    }
    if (here.empty()) {
      if (!pieces.back().empty()) pieces.emplace_back();
      continue;
    }
    const auto [low, high] = std::minmax_element(here.begin(), here.end(),
                                                 [](const Point& a, const Point& b) { return a.y < b.y; });
    pieces.back().push_back(*std::min(low, high));
    if (low != high) pieces.back().push_back(*std::max(low, high));
  }
  if (pieces.back().empty()) pieces.pop_back();
  return pieces;
}

std::vector<double> SpreadApart(const std::vector<double>& wanted, double gap, double least,
                                double greatest) {
  const size_t count = wanted.size();
  std::vector<size_t> order(count);
  std::iota(order.begin(), order.end(), size_t{0});
  std::stable_sort(order.begin(), order.end(), [&](size_t a, size_t b) { return wanted[a] < wanted[b]; });
  if (count > 1) gap = std::min(gap, (greatest - least) / static_cast<double>(count - 1));
  // With the gaps taken out it is a monotone regression: blocks that would cross become one, at their mean.
  struct Block {
    double sum = 0;
    size_t size = 0;
    double Mean() const { return sum / static_cast<double>(size); }
  };
  std::vector<Block> blocks;
  for (size_t i = 0; i < count; ++i) {
    blocks.push_back({wanted[order[i]] - static_cast<double>(i) * gap, 1});
    while (blocks.size() > 1 && blocks[blocks.size() - 2].Mean() > blocks.back().Mean()) {
      const Block last = blocks.back();
      blocks.pop_back();
      blocks.back().sum += last.sum;
      blocks.back().size += last.size;
    }
  }
  std::vector<double> placed(count);
  const double top = greatest - (count == 0 ? 0 : static_cast<double>(count - 1) * gap);
  size_t i = 0;
  for (const Block& block : blocks) {
    for (size_t j = 0; j < block.size; ++j, ++i) {
      placed[order[i]] = std::clamp(block.Mean(), least, std::max(least, top)) + static_cast<double>(i) * gap;
    }
  }
  return placed;
}

std::vector<Placed> PlaceInLanes(const std::vector<Label>& labels, double left, double right, int lanes) {
  struct Span {
    double from, to;
  };
  std::vector<std::vector<Span>> taken(static_cast<size_t>(std::max(lanes, 0)));
  std::vector<Placed> placed(labels.size());
  for (size_t i = 0; i < labels.size(); ++i) {
    const Label& label = labels[i];
    placed[i].leftwards = label.at + label.width > right && label.at - label.width >= left;
    const double from = placed[i].leftwards ? label.at - label.width : label.at;
    const Span span{from, from + label.width};
    for (size_t lane = 0; lane < taken.size() && placed[i].lane < 0; ++lane) {
      const bool is_free = std::none_of(taken[lane].begin(), taken[lane].end(), [&](const Span& other) {
        return span.from < other.to && other.from < span.to;
      });
      if (!is_free) continue;
      taken[lane].push_back(span);
      placed[i].lane = static_cast<int>(lane);
    }
  }
  return placed;
}

double WidthOf(const std::string& text) {
  const auto begins = [](char c) { return (static_cast<unsigned char>(c) & 0xC0) != 0x80; };
  return 6.2 * static_cast<double>(std::count_if(text.begin(), text.end(), begins));
}

}  // namespace baton::report
