#include "tools/ctl/table.h"

#include <gtest/gtest.h>

#include "tools/ctl/status_table.h"

namespace baton::ctl {
namespace {

TEST(TableTest, AlignsNumbersRightAndWordsLeft) {
  EXPECT_EQ(FormatTable({{"NAME", "N", "WHAT"}, {"a", "5", "x"}, {"longer", "123", "-"}}),
            "NAME      N  WHAT\n"
            "a         5  x\n"
            "longer  123  -\n");
}

TEST(TableTest, CountsCodePointsAndBearsRaggedRows) {
  EXPECT_EQ(FormatTable({{"é", "b"}, {"xx"}}), "é   b\nxx\n");
  EXPECT_EQ(FormatTable({}), "");
}

TEST(TableTest, ShortensAtCodePoints) {
  EXPECT_EQ(Shorten("short", 5), "short");
  EXPECT_EQ(Shorten("longer than that", 9), "longer...");
  EXPECT_EQ(Shorten("ééééé", 4), "é...");
  EXPECT_EQ(Shorten("a\tb\033[0m", 10), "a b [0m");
  EXPECT_EQ(Shorten("abc", 2), "ab");
}

ClusterRecord SomeRecord() {
  return {{1, 1},
          {{"router", "router", {2, 1}, 0, "running", "", "", "127.0.0.1:8000"},
           {"decode-0", "decode", {3, 1}, 1, "running", "", "g", "h"},
           {"decode-1", "decode", {}, 2, "restarting", "exited with 1", "", ""}}};
}

TEST(StatusRowsTest, OneRowARankWithItsLoadAndPages) {
  const auto rows = StatusRows(SomeRecord(), R"({"workers":[{"name":"decode-0","healthy":true,"ranks":[
      {"rank":0,"running":2,"waiting":1,"backlog_tokens":30,"pages":{"free":10,"used":5,"cached":4,"pinned":3,"pulling":2,"quarantined":1}},
      {"rank":1,"running":0,"waiting":0,"backlog_tokens":0,"pages":{"free":25}}]}]})");
  ASSERT_EQ(rows.size(), 5);
  EXPECT_EQ(rows[1], (std::vector<std::string>{"router", "router", "2", "running", "0", "-", "-", "-", "-",
                                               "-", "-", "-", "-", "-", "-"}));
  EXPECT_EQ(rows[2], (std::vector<std::string>{"decode-0", "decode", "3", "healthy", "1", "0", "2", "1", "30",
                                               "10", "5", "4", "3", "2", "1"}));
  EXPECT_EQ(rows[3][9], "25");
  EXPECT_EQ(rows[3][10], "-");
  EXPECT_EQ(rows[4][3], "restarting");
}

TEST(StatusRowsTest, ThePoolsPagesAreFromItsMetrics) {
  const ClusterRecord record{{1, 1}, {{"kv", "kv", {7, 1}, 0, "running", "", "unix:kv.sock", "h"}}};
  const auto rows = StatusRows(record, "", R"(# HELP baton_pool_pages Pages
baton_pool_pages{class="free"} 10
baton_pool_pages{class="cached"} 5
baton_pool_pages{class="pinned"} 3
baton_pool_pages{class="filling"} 2
baton_pool_pages{class="quarantined"} 1
baton_pool_moves 4
)");
  ASSERT_EQ(rows.size(), 2);
  EXPECT_EQ(rows[1], (std::vector<std::string>{"kv", "kv", "7", "running", "0", "-", "4", "-", "-", "10", "-",
                                               "5", "3", "2", "1"}));
  EXPECT_EQ(StatusRows(record, "")[1].size(), rows[0].size());
}

TEST(StatusRowsTest, AnyAnswerOfTheRouterIsBorne) {
  for (const char* answer : {"", "nonsense", "[]", "{\"workers\":3}", "{\"workers\":[1,{\"name\":2}]}",
                             "{\"workers\":[{\"name\":\"decode-0\",\"ranks\":[7]}]}",
                             "{\"workers\":[{\"name\":\"decode-0\",\"ranks\":{}}]}"}) {
    EXPECT_EQ(StatusRows(SomeRecord(), answer).size(), 4) << answer;
  }
}

}  // namespace
}  // namespace baton::ctl
