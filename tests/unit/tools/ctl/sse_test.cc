#include "tools/ctl/sse.h"

#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include "tools/ctl/http.h"

namespace baton::ctl {
namespace {

using ::testing::ElementsAre;

TEST(SseReaderTest, AnyCutGivesTheSameEvents) {
  const std::string stream =
      ": comment\nid: 1\ndata: {\"a\":1}\n\nevent: x\r\ndata:two\r\n\r\ndata: [DONE]\n\n";
  for (size_t cut = 0; cut <= stream.size(); ++cut) {
    SseReader reader;
    std::vector<std::string> events = reader.Add(stream.substr(0, cut));
    for (std::string& event : reader.Add(stream.substr(cut))) events.push_back(std::move(event));
    EXPECT_THAT(events, ElementsAre("{\"a\":1}", "two", "[DONE]")) << cut;
    EXPECT_EQ(reader.last_id(), "1");
  }
}

TEST(SseReaderTest, ALineWithoutEndIsBounded) {
  SseReader reader;
  EXPECT_TRUE(reader.Add("data: " + std::string(3 << 20, 'x')).empty());
  EXPECT_THAT(reader.Add("\ndata: next\n"), ElementsAre("next"));
}

TEST(DeltaTextTest, TextErrorsAndOtherEvents) {
  EXPECT_EQ(*DeltaText(R"({"choices":[{"delta":{"content":"hé"}}]})"), "hé");
  EXPECT_EQ(*DeltaText(R"({"choices":[{"delta":{"role":"assistant"}}]})"), "");
  EXPECT_EQ(*DeltaText(R"({"choices":[],"usage":{}})"), "");
  EXPECT_EQ(*DeltaText("[]"), "");
  EXPECT_EQ(DeltaText(R"({"error":{"message":"the worker died"}})").status().message(), "the worker died");
  EXPECT_FALSE(DeltaText("{").ok());
}

TEST(ErrorMessageTest, TheMessageOrTheBody) {
  EXPECT_EQ(ErrorMessage(R"({"error":{"message":"too long"}})"), "too long");
  EXPECT_EQ(ErrorMessage("Bad Gateway"), "Bad Gateway");
  EXPECT_EQ(ErrorMessage("{}"), "{}");
}

TEST(UrlTest, PartsAndDefaults) {
  const auto url = ParseUrl("http://host:81/a/b?c");
  ASSERT_TRUE(url.ok());
  EXPECT_EQ(url->host, "host");
  EXPECT_EQ(url->port, "81");
  EXPECT_EQ(url->path, "/a/b?c");
  EXPECT_EQ(ParseUrl("host:5")->path, "/");
  EXPECT_EQ(ParseUrl("http://host")->port, "80");
  EXPECT_EQ(ParseUrl("https://host")->port, "443");
  EXPECT_TRUE(ParseUrl("https://host:81/a")->tls);
  EXPECT_FALSE(url->tls);
  EXPECT_EQ(ParseUrl("http://[::1]:9/x")->host, "::1");
  for (const char* bad :
       {"", "https://", "http://", "http://:80", "host:port", "host:80/a b", "host:80/\r\nX: y"}) {
    EXPECT_FALSE(ParseUrl(bad).ok()) << bad;
  }
}

}  // namespace
}  // namespace baton::ctl
