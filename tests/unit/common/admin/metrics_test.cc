#include "common/metrics.h"

#include <gmock/gmock.h>
#include <gtest/gtest.h>

namespace baton {
namespace {

using testing::HasSubstr;
using testing::Not;

TEST(Metrics, InstrumentsAndCollectorsShareOneText) {
  Metrics metrics;
  metrics.Counter("baton_tokens_total", "Tokens", {{"rank", "0"}}).Increment(3);
  metrics.Counter("baton_tokens_total", "Tokens", {{"rank", "0"}}).Increment(2);
  metrics.Gauge("baton_running", "Running").Set(4);
  metrics.Histogram("baton_ttft_seconds", "Time to first token", {0.1, 1}).Observe(0.5);
  const int id = metrics.AddCollector([](MetricSnapshot& out) {
    out.Gauge("baton_pages", "Pages").Add(7, {{"class", "free"}}).Add(1, {{"class", "used"}});
    out.Counter("baton_steps_total", "Steps").Add(9);
  });
  const std::string text = metrics.Text();
  EXPECT_THAT(text, HasSubstr("baton_tokens_total{rank=\"0\"} 5"));
  EXPECT_THAT(text, HasSubstr("# TYPE baton_running gauge"));
  EXPECT_THAT(text, HasSubstr("baton_ttft_seconds_bucket{le=\"1\"} 1"));
  EXPECT_THAT(text, HasSubstr("baton_pages{class=\"free\"} 7"));
  EXPECT_THAT(text, HasSubstr("# HELP baton_steps_total Steps"));
  metrics.RemoveCollector(id);
  EXPECT_THAT(metrics.Text(), Not(HasSubstr("baton_pages")));
}

}  // namespace
}  // namespace baton
