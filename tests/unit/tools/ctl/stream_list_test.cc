#include "tools/ctl/stream_list.h"

#include <gtest/gtest.h>

namespace baton::ctl {
namespace {

constexpr char kStreams[] = R"({"streams":[
  {"id":"00ff","worker":"decode-0","rank":1,"prompt_tokens":5,"tokens":12,"movable":true},
  {"id":"0a00","worker":"","rank":0,"prompt_tokens":9,"tokens":0,"movable":false,"why_not":"not yet"}]})";

TEST(StreamListTest, ARowForEachStream) {
  const auto rows = StreamRows(kStreams);
  ASSERT_EQ(rows.size(), 3u);
  EXPECT_EQ(rows[1], (std::vector<std::string>{"00ff", "decode-0", "1", "5", "12", "yes"}));
  EXPECT_EQ(rows[2].back(), "not yet");
  for (const char* nonsense : {"", "[]", "{", R"({"streams":7})", R"({"streams":[7]})"}) {
    EXPECT_EQ(StreamRows(nonsense).size(), 1u) << nonsense;
  }
  EXPECT_EQ(StreamRows(R"({"streams":[{}]})")[1][0], "-");
}

TEST(StreamListTest, AnUnambiguousBeginningNamesAStream) {
  EXPECT_EQ(*FindStream(kStreams, "00F"), "00ff");
  EXPECT_EQ(*FindStream(kStreams, "0a00"), "0a00");
  EXPECT_EQ(FindStream(kStreams, "0").status().code(), absl::StatusCode::kInvalidArgument);
  EXPECT_EQ(FindStream(kStreams, "1").status().code(), absl::StatusCode::kNotFound);
}

TEST(StreamListTest, AMoveIsTold) {
  EXPECT_EQ(MoveLine(R"({"stream":"00ff","from":"a/0","to":"b/1","ms":2.5})"),
            "moved 00ff from a/0 to b/1 in 2.5 ms");
  EXPECT_EQ(MoveLine("?"), "moved");
}

}  // namespace
}  // namespace baton::ctl
