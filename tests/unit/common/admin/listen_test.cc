#include "common/listen.h"

#include <gtest/gtest.h>

namespace baton {
namespace {

TEST(Listen, ParsesWhatPeopleWrite) {
  EXPECT_EQ(*ParseHostPort("127.0.0.1:8080"), (HostPort{"127.0.0.1", 8080}));
  EXPECT_EQ(*ParseHostPort("[::1]:0"), (HostPort{"::1", 0}));
  EXPECT_EQ(*ParseHostPort("localhost:65535"), (HostPort{"localhost", 65535}));
  EXPECT_EQ((HostPort{"::1", 7}).ToString(), "[::1]:7");
}

TEST(Listen, RefusesTheRestInWords) {
  for (const char* wrong : {"", "8080", ":8080", "host:", "host:x", "host:65536", "host:-1", "::1:80"}) {
    EXPECT_TRUE(absl::IsInvalidArgument(ParseHostPort(wrong).status())) << wrong;
  }
}

TEST(Listen, ReplacesTheHost) {
  EXPECT_EQ(WithHost("tcp://0.0.0.0:99", "node"), "tcp://node:99");
  EXPECT_EQ(WithHost("0.0.0.0:99", "::1"), "[::1]:99");
  EXPECT_EQ(WithHost("0.0.0.0:99", ""), "0.0.0.0:99");
  EXPECT_EQ(WithHost("tcp://odd", "node"), "tcp://odd");
}

}  // namespace
}  // namespace baton
