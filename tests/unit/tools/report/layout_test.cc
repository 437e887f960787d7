#include "tools/report/layout.h"

#include <gmock/gmock.h>

#include <cmath>

#include "tools/report/axis.h"
#include "tools/report/escape.h"
#include "tools/report/timeline_chart.h"

namespace baton::report {
namespace {

using ::testing::DoubleNear;
using ::testing::ElementsAre;
using ::testing::HasSubstr;
using ::testing::IsEmpty;
using ::testing::Not;
using ::testing::SizeIs;

TEST(Axis, TicksAreOfOneTwoOrFive) {
  EXPECT_THAT(NiceTicks(0, 10, 5), ElementsAre(0, 2, 4, 6, 8, 10));
  EXPECT_THAT(NiceTicks(3, 17, 3), ElementsAre(5, 10, 15));
  EXPECT_THAT(NiceTicks(0, 0.004, 4), ElementsAre(0, DoubleNear(.001, 1e-9), DoubleNear(.002, 1e-9),
                                                  DoubleNear(.003, 1e-9), DoubleNear(.004, 1e-9)));
  EXPECT_THAT(NiceTicks(5, 5, 4), IsEmpty());
  EXPECT_THAT(NiceTicks(0, INFINITY, 4), IsEmpty());
  EXPECT_THAT(NiceTicks(0, NAN, 4), IsEmpty());
}

TEST(Axis, LogarithmicTicksAreFinerWhereDecadesAreFew) {
  EXPECT_THAT(LogTicks(1, 1000), ElementsAre(1, 10, 100, 1000));
  EXPECT_THAT(LogTicks(1, 20), ElementsAre(1, 2, 5, 10, 20));
  EXPECT_THAT(LogTicks(11, 19), ElementsAre(12, 14, 16, 18));
  EXPECT_THAT(LogTicks(0, 10), IsEmpty());
}

TEST(Axis, PlacesValuesAndHoldsThoseOutsideAtItsEdges) {
  const Axis linear(0, 10, false, 100, 200);
  EXPECT_DOUBLE_EQ(linear.At(5), 150);
  EXPECT_DOUBLE_EQ(linear.At(-3), 100);
  const Axis logarithmic(1, 100, true, 0, 50);
  EXPECT_NEAR(logarithmic.At(10), 25, 1e-9);
  EXPECT_TRUE(std::isfinite(Axis(7, 7, true, 0, 50).At(7)));
  EXPECT_TRUE(std::isfinite(Axis(NAN, INFINITY, false, 0, 50).At(7)));
}

TEST(Axis, FiguresHaveThreeDigitsAndUnits) {
  EXPECT_EQ(FormatFigure(0), "0");
  EXPECT_EQ(FormatFigure(12.345), "12.3");
  EXPECT_EQ(FormatFigure(1234), "1,234");
  EXPECT_EQ(FormatFigure(-123456), "-123,456");
  EXPECT_EQ(FormatFigure(2500000), "2.5 M");
  EXPECT_EQ(FormatTick(500, Unit::kMs), "500 ms");
  EXPECT_EQ(FormatTick(2000, Unit::kMs), "2 s");
  EXPECT_EQ(FormatTick(50, Unit::kPercent), "50%");
  EXPECT_DOUBLE_EQ(RoundUp(87), 100);
}

TEST(Escape, NothingFromOutsideIsMarkup) {
  EXPECT_EQ(Escape("<b a='1'>\"&"), "&lt;b a=&#39;1&#39;&gt;&quot;&amp;");
  EXPECT_EQ(Escape("größer ✓"), "größer ✓");
  EXPECT_EQ(Escape(std::string("a\0b", 3)), "a\uFFFDb");
  EXPECT_EQ(Escape("a\x1b[31m"), "a\uFFFD[31m");
  EXPECT_EQ(Escape("\xff\xc3"), "\uFFFD\uFFFD");
  EXPECT_EQ(Escape("\xed\xa0\x80"), "\uFFFD\uFFFD\uFFFD");  // half of a surrogate pair
  EXPECT_EQ(Escape("\xc0\xbc"), "\uFFFD\uFFFD");            // '<', too long
  EXPECT_EQ(Escape("abcdef", 3), "abc…");
}

TEST(Thin, KeepsPeaksAndEnds) {
  std::vector<Point> points;
  for (int i = 0; i < 100000; ++i) points.push_back({static_cast<double>(i), i == 77777 ? 9.0 : 1.0});
  points[33333].y = -4;
  const std::vector<Point> thin = Thin(points);
  EXPECT_LE(thin.size(), kMostPoints);
  EXPECT_DOUBLE_EQ(thin.front().x, 0);
  EXPECT_DOUBLE_EQ(thin.back().x, 99999);
  double least = 0, most = 0;
  for (size_t i = 0; i < thin.size(); ++i) {
    least = std::min(least, thin[i].y);
    most = std::max(most, thin[i].y);
    EXPECT_TRUE(i == 0 || thin[i].x > thin[i - 1].x);
  }
  EXPECT_DOUBLE_EQ(most, 9);
  EXPECT_DOUBLE_EQ(least, -4);
  EXPECT_THAT(Thin({{0, 1}, {1, 2}}), SizeIs(2));
}

TEST(Pieces, BreakWhereAValueIsAbsentAndStayFew) {
  EXPECT_THAT(Pieces({1, 2, std::nullopt, 3}, 0.5), ElementsAre(SizeIs(2), SizeIs(1)));
  EXPECT_DOUBLE_EQ(Pieces({1}, 0.5)[0][0].x, 0.25);
  EXPECT_THAT(Pieces({std::nullopt, NAN, std::nullopt}, 0.5), IsEmpty());
  std::vector<std::optional<double>> gaps(100000);
  for (size_t i = 0; i < gaps.size(); i += 2) gaps[i] = static_cast<double>(i);
  size_t points = 0;
  for (const auto& piece : Pieces(gaps, 1)) points += piece.size();
  EXPECT_LE(points, kMostPoints);
}

TEST(SpreadApart, LabelsKeepTheirDistanceAndOrder) {
  EXPECT_THAT(SpreadApart({50, 10, 90}, 10, 0, 100), ElementsAre(50, 10, 90));
  EXPECT_THAT(SpreadApart({50, 50}, 10, 0, 100), ElementsAre(45, 55));
  EXPECT_THAT(SpreadApart({0, 0, 0}, 10, 0, 100), ElementsAre(0, 10, 20));
  EXPECT_THAT(SpreadApart({100, 99}, 10, 0, 100), ElementsAre(100, 90));
  EXPECT_THAT(SpreadApart({1, 2, 3}, 80, 0, 100), ElementsAre(0, 50, 100));  // no room: closer
  EXPECT_THAT(SpreadApart({}, 10, 0, 100), IsEmpty());
}

TEST(PlaceInLanes, NoTwoLabelsOfALaneOverlap) {
  const std::vector<Label> labels = {{0, 50}, {20, 50}, {60, 50}, {190, 50}, {30, 50}};
  const std::vector<Placed> placed = PlaceInLanes(labels, 0, 200, 2);
  EXPECT_EQ(placed[0].lane, 0);
  EXPECT_EQ(placed[1].lane, 1);
  EXPECT_EQ(placed[2].lane, 0);
  EXPECT_TRUE(placed[3].leftwards);
  EXPECT_EQ(placed[4].lane, -1);
}

TEST(Timeline, MarksAreDrawnAndNamed) {
  TimelineChart chart{"run <1>", 0.5, 10, {{"tokens/s", false, 0, 5, {1, 2, std::nullopt, 5}}}, {}};
  chart.marks = {{2, "kill", "kill -9 decode-0"}, {4, "back", "decode-0"}, {99, "stop", "never shown"}};
  const std::string svg = Draw(chart);
  EXPECT_THAT(svg, HasSubstr(">kill -9 decode-0</text>"));
  EXPECT_THAT(svg, HasSubstr(">decode-0 back</text>"));
  EXPECT_THAT(svg, HasSubstr("class=\"mark\""));
  EXPECT_THAT(svg, HasSubstr("class=\"mark end\""));
  EXPECT_THAT(svg, Not(HasSubstr("never shown")));
  EXPECT_THAT(svg, HasSubstr("run &lt;1&gt;"));
  chart.seconds = NAN;
  EXPECT_EQ(Draw(chart), "");
}

TEST(Timeline, AHundredMarksAtOnceStayWithinTheirLanes) {
  TimelineChart chart{"storm", 0.5, 10, {{"errors", true, 1, 5, {1, 2, 3}}}, {}};
  for (int i = 0; i < 1000; ++i) chart.marks.push_back({5, "kill", "decode-0"});
  const std::string svg = Draw(chart);
  size_t labels = 0;
  for (size_t at = 0; (at = svg.find("marktext", at)) != std::string::npos; ++at) ++labels;
  EXPECT_EQ(labels, 6u);
  EXPECT_LT(svg.size(), 40000u);
}

}  // namespace
}  // namespace baton::report
