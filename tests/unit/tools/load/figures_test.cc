#include <cmath>

#include "gmock/gmock.h"
#include "gtest/gtest.h"
#include "tools/load/collector.h"

namespace baton::load {
namespace {

using ::testing::ElementsAre;
using ::testing::HasSubstr;

const MonoTime kOrigin = absl::UnixEpoch() + absl::Hours(1);
MonoTime At(double seconds) {
  return kOrigin + absl::Seconds(seconds);
}

StreamRecord Stream(double scheduled, double first, double gap, int tokens) {
  StreamRecord record;
  record.scheduled = record.sent = At(scheduled);
  for (int i = 0; i < tokens; ++i) record.arrivals.push_back({At(scheduled + first + gap * i), 1});
  record.ended = tokens > 0 ? record.arrivals.back().at : At(scheduled + first);
  record.outcome = Outcome::kCompleted;
  record.output_tokens = tokens;
  record.input_tokens = 10;
  return record;
}

TEST(Histogram, ValuesComeBackWithinTheStatedError) {
  for (double us = 3; us < 1e12; us *= 1.37) {
    Histogram histogram;
    histogram.Add(absl::Microseconds(us));
    histogram.Add(absl::Hours(300));  // the largest is exact: keep it apart
    const double back = *histogram.QuantileMs(0.5) * 1000;
    EXPECT_NEAR(back, us, std::max(1.0, us * kHistogramError)) << us;
  }
}

TEST(Histogram, QuantilesAreThoseOfTheSamples) {
  Histogram histogram;
  for (int i = 1; i <= 10000; ++i) histogram.Add(absl::Milliseconds(i));
  EXPECT_NEAR(*histogram.QuantileMs(0.5), 5000, 20);
  EXPECT_NEAR(*histogram.QuantileMs(0.999), 9990, 40);
  EXPECT_NEAR(*histogram.QuantileMs(0), 1, 0.01);
  EXPECT_NEAR(*histogram.QuantileMs(1), 10000, 40);
  EXPECT_NEAR(static_cast<double>(histogram.CountAbove(absl::Milliseconds(9000))), 1000, 70);
}

TEST(Histogram, PercentilesWantEnoughSamples) {
  Histogram histogram;
  EXPECT_EQ(histogram.ToSpread().mean, std::nullopt);
  EXPECT_EQ(histogram.QuantileMs(0.5), std::nullopt);
  histogram.Add(absl::Milliseconds(5), 9);
  EXPECT_EQ(histogram.ToSpread().p50, std::nullopt);
  EXPECT_EQ(histogram.ToSpread().mean, 5);
  histogram.Add(absl::Milliseconds(5));
  EXPECT_TRUE(histogram.ToSpread().p50.has_value());
  histogram.Add(absl::Milliseconds(5), 189);
  EXPECT_TRUE(histogram.ToSpread().p90.has_value());
  EXPECT_EQ(histogram.ToSpread().p95, std::nullopt);
  histogram.Add(absl::Milliseconds(5), 800);
  EXPECT_EQ(histogram.ToSpread().p99, std::nullopt);
  histogram.Add(absl::Milliseconds(5));
  EXPECT_TRUE(histogram.ToSpread().p99.has_value());
  EXPECT_EQ(histogram.ToSpread().p999, std::nullopt);
}

TEST(Histogram, MergedIsAsRecordedInOne) {
  Histogram all, one, other;
  for (int i = 0; i < 2000; ++i) {
    all.Add(absl::Microseconds(i * i));
    (i % 3 == 0 ? one : other).Add(absl::Microseconds(i * i));
  }
  one.Merge(other);
  EXPECT_EQ(one.count(), all.count());
  EXPECT_EQ(one.ToSpread().p99, all.ToSpread().p99);
  EXPECT_EQ(one.ToSpread().max, all.ToSpread().max);
  const std::vector<Bucket> buckets = one.Buckets();
  int64_t sum = 0;
  for (size_t i = 0; i < buckets.size(); ++i) {
    sum += buckets[i].count;
    if (i > 0) {
      EXPECT_LT(buckets[i - 1].upper, buckets[i].upper);
    }
  }
  EXPECT_EQ(sum, 2000);
}

TEST(StreamMeasure, CountsFromTheScheduledArrival) {
  StreamRecord record = Stream(1, 0.5, 0.1, 5);
  record.sent = At(1.2);  // a late client makes it no better
  const StreamMeasure measure = Measure(record, {absl::Milliseconds(501), absl::Milliseconds(101)});
  EXPECT_EQ(measure.ttft, absl::Milliseconds(500));
  EXPECT_EQ(measure.itl.size(), 4u);
  EXPECT_NEAR(absl::ToDoubleMilliseconds(*measure.tpot), 100, 0.001);
  EXPECT_NEAR(absl::ToDoubleMilliseconds(*measure.e2e), 900, 0.001);
  EXPECT_TRUE(measure.good);
  EXPECT_FALSE(Measure(record, {absl::Milliseconds(499), absl::Milliseconds(101)}).good);
  EXPECT_FALSE(Measure(record, {absl::Milliseconds(501), absl::Milliseconds(99)}).good);
}

TEST(StreamMeasure, TpotCountsTokensAndNotEvents) {
  StreamRecord record = Stream(0, 1, 1, 3);
  record.arrivals[0].tokens = 2;
  record.output_tokens = 6;  // as the server counted: four after the first event, in two seconds
  EXPECT_EQ(Measure(record, {}).tpot, absl::Milliseconds(500));
  EXPECT_EQ(Measure(Stream(0, 1, 1, 1), {}).tpot, std::nullopt);
  EXPECT_TRUE(Measure(Stream(0, 1, 1, 1), {absl::Seconds(2), absl::Seconds(1)}).good);
}

TEST(StreamMeasure, AnErrorIsNeverGood) {
  StreamRecord record = Stream(0, 0.1, 0.1, 5);
  record.outcome = Outcome::kDisconnect;
  EXPECT_FALSE(Measure(record, {}).good);
  EXPECT_EQ(Measure(record, {}).e2e, std::nullopt);
  EXPECT_TRUE(Measure(record, {}).ttft.has_value());
}

TEST(StreamMeasure, KindsOfErrorsHaveNames) {
  StreamRecord record;
  record.http_status = 429;
  const std::pair<Outcome, const char*> kinds[] = {{Outcome::kCompleted, ""},
                                                   {Outcome::kCancelled, ""},
                                                   {Outcome::kConnect, "connect"},
                                                   {Outcome::kHttpStatus, "429"},
                                                   {Outcome::kTimeout, "timeout"},
                                                   {Outcome::kMidStream, "mid_stream"},
                                                   {Outcome::kDisconnect, "disconnect"},
                                                   {Outcome::kShort, "short"},
                                                   {Outcome::kNotSent, "not_sent"},
                                                   {Outcome::kUnfinished, "unfinished"}};
  for (const auto& [outcome, name] : kinds) {
    record.outcome = outcome;
    EXPECT_EQ(ErrorKind(record), name);
  }
}

TEST(Collector, WarmupAndDrainAreLeftOut) {
  Collector collector({kOrigin, absl::Seconds(10), absl::Seconds(20)}, {absl::Milliseconds(300)},
                      absl::Seconds(1));
  PlannedRequest request;
  request.tenant = "a";
  collector.Add(request, Stream(9.9, 0.2, 0.1, 10));   // warm-up, though nine of its tokens are not
  collector.Add(request, Stream(10, 0.2, 0.1, 10));    // good
  collector.Add(request, Stream(19.5, 0.4, 0.2, 10));  // late; tokens at 19.9 and after the end
  collector.Add(request, Stream(20, 0.2, 0.1, 10));    // after
  StreamRecord failed = Stream(15, 0.2, 0.1, 0);
  failed.outcome = Outcome::kHttpStatus;
  failed.http_status = 503;
  request.tenant = "b";
  collector.Add(request, failed);
  const RunResult run = collector.Result();
  EXPECT_EQ(run.summary.requests, 3);
  EXPECT_EQ(run.summary.completed, 2);
  EXPECT_EQ(run.summary.errors, (std::map<std::string, int64_t>{{"503", 1}}));
  EXPECT_DOUBLE_EQ(run.summary.goodput_per_s, 0.1);
  EXPECT_NEAR(*run.summary.good_share, 1.0 / 3, 1e-9);
  EXPECT_DOUBLE_EQ(run.summary.output_tokens_per_s, (10 + 10 + 1) / 10.0);
  EXPECT_EQ(run.summary.spreads.at("ttft_ms").count, 2);
  EXPECT_EQ(run.summary.slo.at("ttft_ms"), 300);
  EXPECT_EQ(run.summary.slo.count("tpot_ms"), 0u);
  EXPECT_EQ(run.summary.tenants.at("a").requests, 2);
  EXPECT_EQ(run.summary.tenants.at("b").errors.at("503"), 1);
  EXPECT_EQ(run.duration_s, 10);
}

TEST(Collector, CancelledRequestsAreNotJudged) {
  Collector collector({kOrigin, absl::ZeroDuration(), absl::Seconds(10)}, {}, absl::Seconds(1));
  StreamRecord cancelled = Stream(1, 0.1, 0.1, 3);
  cancelled.outcome = Outcome::kCancelled;
  collector.Add({}, cancelled);
  collector.Add({}, Stream(2, 0.1, 0.1, 3));
  EXPECT_EQ(collector.Result().summary.cancelled, 1);
  EXPECT_EQ(collector.Result().summary.good_share, 1);
}

TEST(Collector, SaysWhyARunIsInvalid) {
  const ValidityRule rule{absl::Milliseconds(20)};
  const auto fresh = [] {
    return Collector({kOrigin, absl::ZeroDuration(), absl::Seconds(10)}, {}, absl::Seconds(1));
  };
  Collector late = fresh();
  for (int i = 0; i < 100; ++i) {
    StreamRecord record = Stream(0.1 * i, 0.1, 0.1, 2);
    if (i < 1) record.sent += absl::Milliseconds(500);
    late.Add({}, record);
  }
  EXPECT_EQ(late.WhyInvalid(rule), "");
  StreamRecord second = Stream(1, 0.1, 0.1, 2);
  second.sent += absl::Milliseconds(500);
  late.Add({}, second);
  late.Add({}, second);
  EXPECT_THAT(late.WhyInvalid(rule), HasSubstr("3 of 102 requests"));

  Collector busy = fresh();
  for (int i = 0; i < 100; ++i) busy.AddLoopLag(absl::Milliseconds(i < 2 ? 100 : 1));
  EXPECT_THAT(busy.WhyInvalid(rule), HasSubstr("2.0%"));

  Collector full = fresh();
  StreamRecord unsent;
  unsent.error = kNoConnection;
  full.Add({}, unsent);
  EXPECT_THAT(full.WhyInvalid(rule), HasSubstr("--max_connections"));
}

TEST(Timeline, BinsByWhenThingsHappened) {
  Collector collector({kOrigin, absl::ZeroDuration(), absl::Seconds(2)}, {}, absl::Milliseconds(500));
  collector.Add({}, Stream(0.1, 0.2, 0.5, 3));  // tokens at 0.3, 0.8 and 1.3, where it ends
  StreamRecord refused;
  refused.scheduled = refused.sent = At(0.6);
  refused.ended = At(0.7);
  refused.outcome = Outcome::kConnect;
  collector.Add({}, refused);
  const auto series = collector.Result().timeline.series;
  EXPECT_THAT(series.at("output_tokens_per_s"), ElementsAre(2, 2, 2));
  EXPECT_THAT(series.at("running"), ElementsAre(1, 1, 0));
  EXPECT_THAT(series.at("errors"), ElementsAre(0, 1, 0));
  EXPECT_NEAR(*series.at("ttft_ms_p50")[0], 200, 0.01);
  EXPECT_EQ(series.at("ttft_ms_p50")[1], std::nullopt);
  EXPECT_EQ(series.at("itl_ms_max")[0], std::nullopt);
  EXPECT_NEAR(*series.at("itl_ms_max")[2], 500, 0.01);
}

}  // namespace
}  // namespace baton::load
