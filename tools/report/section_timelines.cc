#include <algorithm>
#include <map>

#include "absl/strings/str_cat.h"
#include "tools/report/axis.h"
#include "tools/report/html.h"
#include "tools/report/sections.h"
#include "tools/report/timeline_chart.h"

namespace baton::report {
namespace {

constexpr size_t kMostRuns = 12, kMostRepeats = 6;

struct Kind {
  const char* name;
  const char* title;
  bool bars;
};

constexpr Kind kKinds[] = {{"output_tokens_per_s", "output tokens/s", false},
                           {"ttft_ms_p50", "TTFT p50 of each bin, ms", false},
                           {"itl_ms_max", "longest ITL of each bin, ms", false},
                           {"running", "streams running", false},
                           {"errors", "errors in each bin", true}};

// All pictures have the same axes: the end of time, and the greatest value of each series.
struct Shared {
  double seconds = 0;
  std::map<std::string, double> most;
};

void Take(const load::Timeline& timeline, Shared* shared) {
  for (const auto& [name, bins] : timeline.series) {
    shared->seconds = std::max(shared->seconds, static_cast<double>(bins.size()) * timeline.bin_s);
    for (const std::optional<double>& value : bins) {
      if (value && Drawable(*value)) shared->most[name] = std::max(shared->most[name], *value);
    }
  }
}

// The first repeat, and those after it that can lie behind it.
std::vector<const load::RunResult*> Shown(const Cell& cell) {
  const load::RunResult* first = cell.repeats.front();
  std::vector<const load::RunResult*> shown = {first};
  for (size_t i = 1; i < cell.repeats.size() && shown.size() < kMostRepeats; ++i) {
    if (cell.repeats[i]->timeline.bin_s == first->timeline.bin_s) shown.push_back(cell.repeats[i]);
  }
  return shown;
}

Shared SharedBy(const std::vector<const Cell*>& cells) {
  Shared shared;
  for (const Cell* cell : cells) {
    for (const load::RunResult* run : Shown(*cell)) Take(run->timeline, &shared);
  }
  return shared;
}

// How long streams stood still at the faults.
std::string WaitOf(const load::RunResult& run) {
  const auto found = run.summary.spreads.find("fault_gap_ms");
  if (found == run.summary.spreads.end() || !found->second.max) return "";
  const load::Spread& gaps = found->second;
  const std::string half = gaps.p50 ? absl::StrCat("p50 ", FormatTick(*gaps.p50, Unit::kMs), ", ") : "";
  return absl::StrCat("; waits at faults: ", half, "max ", FormatTick(*gaps.max, Unit::kMs));
}

std::string Draw(const View& view, const Cell& cell, const Shared& shared) {
  const load::RunResult& run = *cell.repeats.front();
  TimelineChart chart{view.Name(cell, true) + WaitOf(run), run.timeline.bin_s, shared.seconds, {}, run.marks};
  for (const Kind& kind : kKinds) {
    const auto found = run.timeline.series.find(kind.name);
    if (found == run.timeline.series.end()) continue;
    const auto most = shared.most.find(kind.name);
    const int colour = kind.bars ? 1 : 0;
    Panel& panel = chart.panels.emplace_back();
    panel = {kind.title, kind.bars, colour, most == shared.most.end() ? 0 : most->second, found->second, {}};
    for (const load::RunResult* other : Shown(cell)) {
      const auto same = other->timeline.series.find(kind.name);
      if (other != &run && same != other->timeline.series.end()) panel.others.push_back(same->second);
    }
  }
  return Draw(chart);
}

std::string NoteOf(const View& view, size_t drawn, bool all) {
  std::string note = "Solid lines across: a fault strikes; dashed: it is over.";
  size_t most = 0;
  for (const Cell& cell : view.cells) most = std::max(most, cell.repeats.size());
  const bool repeats = most > 1;
  if (repeats) {
    absl::StrAppend(&note,
                    " In full colour: the first repeat of each, whose faults are shown; faint: the others",
                    most > kMostRepeats ? absl::StrCat(", up to ", kMostRepeats - 1) : "", ".");
  }
  if (!all) absl::StrAppend(&note, " Of each variant its highest rate.");
  if (drawn > 1) absl::StrAppend(&note, " All have the same axes.");
  return note;
}

}  // namespace

std::string TimelinesSection(const View& view) {
  std::vector<const Cell*> cells = Chosen(view.cells, kMostRuns);
  const bool all = cells.size() == view.cells.size();
  std::erase_if(cells, [](const Cell* cell) { return cell->repeats.front()->timeline.series.empty(); });
  const Shared shared = SharedBy(cells);
  std::vector<std::string> pictures;
  for (const Cell* cell : cells) pictures.push_back(Draw(view, *cell, shared));
  const std::string markup = Figures(pictures);
  if (markup.empty()) return "";
  return Section("Timelines", Paragraph(NoteOf(view, cells.size(), all), "note") + markup);
}

}  // namespace baton::report
