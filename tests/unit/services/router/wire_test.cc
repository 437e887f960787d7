#include "services/router/http/wire.h"

#include <gtest/gtest.h>

namespace baton::router {
namespace {

TEST(HttpWire, Chunks) {
  EXPECT_EQ(Chunk("hello"), "5\r\nhello\r\n");
  EXPECT_EQ(Chunk(std::string(26, 'x')).substr(0, 4), "1a\r\n");
}

TEST(HttpWire, Heads) {
  const std::string head = ResponseHead(429, "text/plain", false);
  EXPECT_EQ(head.substr(0, 32), "HTTP/1.1 429 Too Many Requests\r\n");
  EXPECT_NE(head.find("Connection: close\r\n"), std::string::npos);
  for (const int status : {200, 400, 401, 404, 405, 408, 409, 411, 413, 415, 429, 431, 500, 501, 503, 504}) {
    EXPECT_NE(ReasonPhrase(status), "Status") << status;
  }
}

}  // namespace
}  // namespace baton::router
