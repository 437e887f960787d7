#include "services/router/openai/json_text.h"

#include <gtest/gtest.h>

#include <cmath>
#include <limits>

#include "services/router/openai/api_error.h"

namespace baton::router {
namespace {

TEST(JsonText, StringsAreEscapedAndValid) {
  EXPECT_EQ(JsonString("plain ü 🚀"), "\"plain ü 🚀\"");
  EXPECT_EQ(JsonString("a\"b\\c\n\r\t"), R"("a\"b\\c\n\r\t")");
  EXPECT_EQ(JsonString(absl::string_view("\0\x1f", 2)), R"("\u0000\u001f")");
  EXPECT_EQ(JsonString("x\xff\xe2\x82"), "\"x\xEF\xBF\xBD\xEF\xBF\xBD\"");
}

TEST(JsonText, FloatsAreFiniteAndRoundTrip) {
  EXPECT_EQ(JsonFloat(-0.5f), "-0.5");
  EXPECT_EQ(JsonFloat(-std::numeric_limits<float>::infinity()), "-9999");
  EXPECT_EQ(JsonFloat(std::nanf("")), "0.0");
  for (const float value : {-1.2345678f, -1e-7f, 0.1f}) EXPECT_EQ(std::stof(JsonFloat(value)), value);
}

TEST(ApiErrors, OpenAiForm) {
  EXPECT_EQ(InvalidRequest("why \"x\"", "p", "c").ToJson(),
            R"({"error":{"message":"why \"x\"","type":"invalid_request_error","param":"p","code":"c"}})");
  EXPECT_EQ(ErrorForHttpStatus(500, "m").ToJson(),
            R"({"error":{"message":"m","type":"server_error","param":null,"code":null}})");
}

TEST(ApiErrors, StatusesOfStreams) {
  const std::pair<absl::Status, int> cases[] = {
      {absl::InvalidArgumentError(""), 400},   {absl::NotFoundError(""), 404},
      {absl::ResourceExhaustedError(""), 429}, {absl::InternalError(""), 500},
      {absl::UnavailableError(""), 503},       {absl::FailedPreconditionError(""), 503},
      {absl::DeadlineExceededError(""), 504}};
  for (const auto& [status, http] : cases) EXPECT_EQ(ErrorForStatus(status).status, http) << status;
  EXPECT_GT(ErrorForStatus(absl::ResourceExhaustedError("")).retry_after_s, 0);
}

}  // namespace
}  // namespace baton::router
