#include "tools/report/report.h"

#include <gmock/gmock.h>

#include <cmath>

#include "tools/report/cells.h"
#include "tools/report/compare.h"
#include "tools/report/verdict.h"

namespace baton::report {
namespace {

using ::testing::ElementsAre;
using ::testing::HasSubstr;
using ::testing::IsEmpty;
using ::testing::Not;
using ::testing::SizeIs;

load::RunResult RunOf(const std::string& label, double rate, int repeat, double ttft) {
  load::RunResult run;
  run.label = label;
  run.rate = rate;
  run.repeat = repeat;
  run.duration_s = 10;
  run.summary.requests = 50;
  run.summary.spreads["ttft_ms"] = {50, ttft, ttft, 999, std::nullopt, std::nullopt, std::nullopt, 2 * ttft};
  run.summary.goodput_per_s = rate;
  run.summary.slo = {{"ttft_ms", 1000}};
  run.histograms["ttft_ms"] = {{ttft / 2, 20}, {ttft, 20}, {2 * ttft, 10}};
  run.timeline.bin_s = 0.5;
  run.timeline.series["output_tokens_per_s"] = {10, 20, std::nullopt, 30};
  run.marks = {{1, "kill", "kill -9 decode-0"}};
  return run;
}

load::RunRecord RecordOf(const std::string& name, double ttft) {
  load::RunRecord record;
  record.name = name;
  record.machine = "a machine";
  for (const double rate : {1.0, 2.0}) {
    for (int repeat = 0; repeat < 3; ++repeat) {
      record.runs.push_back(RunOf("split", rate, repeat, ttft * rate + 10 * repeat));
    }
  }
  return record;
}

TEST(Cells, AreMediansOfRepeatsWithTheirRange) {
  const std::vector<load::RunRecord> records = {RecordOf("one", 100)};
  const std::vector<Cell> cells = CellsOf(records);
  ASSERT_THAT(cells, SizeIs(2));
  EXPECT_EQ(NameOf(cells[1], true), "A split at 2/s");
  const std::optional<Range> range = RangeOf(cells[0], MetricOf("ttft_ms", "p50"));
  ASSERT_TRUE(range.has_value());
  EXPECT_DOUBLE_EQ(range->median, 110);
  EXPECT_DOUBLE_EQ(range->least, 100);
  EXPECT_DOUBLE_EQ(range->most, 120);
}

TEST(Confidence, IsStudentsOfTheMean) {
  const std::optional<Interval> three = ConfidenceOf({9, 10, 11});
  ASSERT_TRUE(three.has_value());
  EXPECT_NEAR(three->least, 10 - 4.303 / std::sqrt(3), 1e-9);
  EXPECT_NEAR(three->most, 10 + 4.303 / std::sqrt(3), 1e-9);
  EXPECT_FALSE(ConfidenceOf({9, 10}).has_value());
  EXPECT_DOUBLE_EQ(ConfidenceOf({5, 5, 5, 5})->most, 5);
  const std::optional<Interval> many = ConfidenceOf(std::vector<double>(100, 3.0));
  EXPECT_DOUBLE_EQ(many->least, 3);
}

TEST(Confidence, ThePageSaysWhatItsBandsAre) {
  std::vector<load::RunRecord> records = {RecordOf("one", 100)};
  EXPECT_THAT(RenderHtml(records), HasSubstr("Bands: 95% confidence intervals of the mean (Student t)."));
  std::erase_if(records[0].runs, [](const auto& run) { return run.rate == 1 && run.repeat == 2; });
  EXPECT_THAT(RenderHtml(records), HasSubstr("where there are 3 repeats or more, else the least to"));
  std::erase_if(records[0].runs, [](const auto& run) { return run.repeat == 2; });
  EXPECT_THAT(RenderHtml(records), HasSubstr("Bands: the least to the greatest of them: too few"));
}

TEST(Timelines, SayHowLongStreamsStoodStillAtFaults) {
  std::vector<load::RunRecord> records = {RecordOf("one", 100)};
  EXPECT_THAT(RenderHtml(records), Not(HasSubstr("at faults")));
  load::Spread& gaps = records[0].runs[0].summary.spreads["fault_gap_ms"];
  gaps.count = 12;
  gaps.p50 = 250;
  gaps.max = 1500;
  EXPECT_THAT(RenderHtml(records), HasSubstr("; waits at faults: p50 250 ms, max 1.5 s"));
}

TEST(Timelines, ShowEveryRepeat) {
  const std::vector<load::RunRecord> records = {RecordOf("one", 100)};
  const std::string page = RenderHtml(records);
  EXPECT_THAT(page, HasSubstr("thin c0 d0 behind"));
  EXPECT_THAT(page, HasSubstr("faint: the others"));
  std::vector<load::RunRecord> single = {RecordOf("one", 100)};
  std::erase_if(single[0].runs, [](const auto& run) { return run.repeat > 0; });
  EXPECT_THAT(RenderHtml(single), Not(HasSubstr("d0 behind")));
}

TEST(Cells, PercentilesOfTooFewSamplesAreWithheldEvenIfARecordHasThem) {
  const std::vector<load::RunRecord> records = {RecordOf("one", 100)};
  const std::vector<Cell> cells = CellsOf(records);
  EXPECT_FALSE(RangeOf(cells[0], MetricOf("ttft_ms", "p90")).has_value());
  EXPECT_EQ(WhyAbsent(cells[0], MetricOf("ttft_ms", "p90")), "50 samples in a repeat, p90 wants 100");
  EXPECT_THAT(RenderHtml(records), HasSubstr("title=\"50 samples in a repeat, p90 wants 100\">–</td>"));
  EXPECT_THAT(RenderHtml(records), HasSubstr("TTFT p90 wants 100 and has 50 in 2 rows"));
  EXPECT_THAT(RenderHtml(records), Not(HasSubstr(">999<")));
}

TEST(Cells, OneRepeatWithoutItWithholdsTheMedian) {
  std::vector<load::RunRecord> records = {RecordOf("one", 100)};
  records[0].runs[1].summary.spreads["ttft_ms"].p50.reset();
  EXPECT_FALSE(RangeOf(CellsOf(records)[0], MetricOf("ttft_ms", "p50")).has_value());
}

TEST(Cells, WhereTheyAreTooManyTheHighestRateOfEachVariantIsChosen) {
  const std::vector<load::RunRecord> records = {RecordOf("one", 100), RecordOf("two", 100)};
  const std::vector<Cell> cells = CellsOf(records);
  EXPECT_THAT(Chosen(cells, 4), SizeIs(4));
  const std::vector<const Cell*> chosen = Chosen(cells, 3);
  ASSERT_THAT(chosen, SizeIs(2));
  EXPECT_EQ(NameOf(*chosen[0], true), "A split at 2/s");
  EXPECT_EQ(NameOf(*chosen[1], true), "B split at 2/s");
}

TEST(Report, HasEverySection) {
  std::vector<load::RunRecord> records = {RecordOf("one", 100)};
  records[0].hypothesis = "it <holds>";
  records[0].held = false;
  records[0].expected = true;
  records[0].checks = {{"fine", true, "3 of 3"}, {"broken", false, "1 leaked"}};
  records[0].rows = {{"itl", 3, "ms", "colocated", 6.0, 2.0, 2.5}};
  records[0].config = {{"scenario", "a: 1\nb: <2>\n"}};
  const std::string page = RenderHtml(records);
  for (const char* part :
       {"it &lt;holds&gt;", "<b>FAILED</b> but it was expected to hold", "1 of 2 checks hold", "1 leaked",
        "Against the rate", "medians of 3 repeats", "Distributions", "Timelines", "kill -9 decode-0",
        "2 ✗ missed", "b: &lt;2&gt;", "class=\"band c0 d0\""}) {
    EXPECT_THAT(page, HasSubstr(part));
  }
  EXPECT_LT(page.find("broken"), page.find("fine"));
  for (const char* never : {"<script", "http://www.w3.org/2000/svg\" src", "href=", "url("}) {
    EXPECT_THAT(page, Not(HasSubstr(never)));
  }
}

TEST(Report, OfNothingIsStillAPage) {
  const std::vector<load::RunRecord> records(1);
  EXPECT_THAT(RenderHtml(records), HasSubstr("</html>"));
  EXPECT_THAT(RenderText(records), HasSubstr("MEASURED"));
  EXPECT_EQ(WriteReport({}, "/nowhere/x.html").code(), absl::StatusCode::kInvalidArgument);
}

TEST(Report, AbsurdFiguresDoNotBreakIt) {
  std::vector<load::RunRecord> records = {RecordOf("one", 100)};
  load::RunResult& run = records[0].runs[0];
  run.rate = NAN;
  run.summary.spreads["ttft_ms"].p50 = INFINITY;
  run.histograms["ttft_ms"] = {{-1e300, 5}, {NAN, 5}, {1e300, 5}, {0, 50}};
  run.timeline.bin_s = -1;
  run.timeline.series["errors"] = {1e300, -5.0, NAN};
  run.marks = {{NAN, "kill", "x"}, {-1, "", ""}};
  const std::string page = RenderHtml(records);
  EXPECT_THAT(page, Not(HasSubstr("nan")));
  EXPECT_THAT(page, Not(HasSubstr("inf\"")));
}

TEST(Report, StaysSmallWhateverTheRecord) {
  std::vector<load::RunRecord> records = {RecordOf("one", 100)};
  for (int i = 0; i < 20000; ++i) records[0].checks.push_back({"check", false, std::string(5000, 'x')});
  for (load::RunResult& run : records[0].runs) {
    for (int i = 0; i < 50000; ++i) run.histograms["ttft_ms"].push_back({1.0 + i, 1});
    run.timeline.series["running"].assign(50000, 3.0);
  }
  const std::string page = RenderHtml(records);
  EXPECT_LT(page.size(), 2000000u);
  EXPECT_THAT(page, HasSubstr("and 19500 more"));
}

TEST(Compare, DifferencesAreInPercentOfTheMedians) {
  const std::vector<load::RunRecord> records = {RecordOf("one", 100), RecordOf("two", 50)};
  const std::vector<Pairing> pairings = PairingsOf(CellsOf(records));
  ASSERT_THAT(pairings, SizeIs(2));
  const Difference& ttft = pairings[0].differences[0];
  EXPECT_EQ(ttft.metric->title, "TTFT p50");
  EXPECT_EQ(FormatPercent(ttft.percent), "-45%");  // 60 beside 110
  EXPECT_TRUE(ttft.better);
  EXPECT_FALSE(ttft.within_repeats);
  EXPECT_THAT(RenderHtml(records), HasSubstr("▲ better"));
  EXPECT_THAT(RenderHtml(records), HasSubstr("B split"));
  EXPECT_THAT(RenderText(records), HasSubstr("-45%"));
}

TEST(Compare, OverlappingRepeatsAreSaidSo) {
  const std::vector<load::RunRecord> records = {RecordOf("one", 100), RecordOf("two", 105)};
  EXPECT_TRUE(PairingsOf(CellsOf(records))[0].differences[0].within_repeats);
  EXPECT_THAT(RenderText(records), HasSubstr("worse, within repeats"));
}

TEST(Compare, OtherNamesPairOnlyWhereEachRecordHasOneVariant) {
  std::vector<load::RunRecord> records = {RecordOf("one", 100), RecordOf("two", 50)};
  for (load::RunResult& run : records[1].runs) run.label = "colocated";
  EXPECT_THAT(PairingsOf(CellsOf(records)), SizeIs(2));
  records[0].runs.push_back(RunOf("third", 1, 0, 100));
  EXPECT_THAT(PairingsOf(CellsOf(records)), IsEmpty());
  EXPECT_THAT(RenderHtml(records), HasSubstr("nothing to compare"));
}

TEST(Compare, OtherMachinesAndConfigurationsAreNamed) {
  std::vector<load::RunRecord> records = {RecordOf("one", 100), RecordOf("two", 50)};
  EXPECT_THAT(UnlikeIn(records), IsEmpty());
  records[1].machine = "another";
  records[0].config = {{"seed", "1"}, {"scenario", "a\nb"}};
  records[1].config = {{"seed", "2"}};
  EXPECT_THAT(UnlikeIn(records),
              ElementsAre("machine: A: a machine; B: another", "configuration, scenario differs",
                          "configuration, seed: A: 1; B: 2"));
  EXPECT_THAT(RenderHtml(records), HasSubstr("not of the same conditions"));
}

TEST(Verdict, AFailureThatWasExpectedIsGood) {
  load::RunRecord record;
  record.held = false;
  record.expected = false;
  record.config["expected to fail because"] = "no replay yet";
  EXPECT_EQ(VerdictOf(record).tone, Tone::kGood);
  EXPECT_EQ(VerdictOf(record).detail, "as expected: no replay yet");
  record.held = true;
  EXPECT_EQ(VerdictOf(record).tone, Tone::kBad);
  record.valid = false;
  record.invalid_why = "late";
  EXPECT_EQ(VerdictOf(record).word, "INVALID");
}

}  // namespace
}  // namespace baton::report
