#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include "services/router/openai/parse.h"

namespace baton::router {
namespace {

using ::testing::ElementsAre;
using ::testing::Pair;

std::optional<ApiError> Parse(ApiKind kind, const std::string& more, ApiRequest& request) {
  const std::string base =
      kind == ApiKind::kChat ? R"({"messages":[{"role":"user","content":"hi"}],)" : R"({"prompt":"p",)";
  return ParseRequest(kind, base + more + "}", {}, request);
}

TEST(ParseSampling, EveryParameter) {
  ApiRequest request;
  ASSERT_FALSE(Parse(ApiKind::kChat,
                     R"("temperature":0.5,"top_p":0.9,"top_k":40,"min_p":0.1,"presence_penalty":1.5,
      "frequency_penalty":-1,"repetition_penalty":1.1,"logit_bias":{"5":-100,"7":2.5},"seed":-1,"n":3,"max_tokens":9,
      "max_completion_tokens":8,"stop":["a","b"],"stop_token_ids":[2],"ignore_eos":true,"stream":true,
      "stream_options":{"include_usage":true},"logprobs":true,"top_logprobs":4)",
                     request));
  EXPECT_FLOAT_EQ(request.sampling.temperature, 0.5f);
  EXPECT_FLOAT_EQ(request.sampling.top_p, 0.9f);
  EXPECT_EQ(request.sampling.top_k, 40);
  EXPECT_FLOAT_EQ(request.sampling.min_p, 0.1f);
  EXPECT_FLOAT_EQ(request.sampling.presence_penalty, 1.5f);
  EXPECT_FLOAT_EQ(request.sampling.frequency_penalty, -1);
  EXPECT_FLOAT_EQ(request.sampling.repetition_penalty, 1.1f);
  EXPECT_THAT(request.sampling.logit_bias, ElementsAre(Pair(5, -100.0f), Pair(7, 2.5f)));
  EXPECT_EQ(request.seed, UINT64_MAX);
  EXPECT_EQ(request.n, 3u);
  EXPECT_EQ(request.max_tokens, 8u);
  EXPECT_THAT(request.stop, ElementsAre("a", "b"));
  EXPECT_THAT(request.stop_token_ids, ElementsAre(2));
  EXPECT_TRUE(request.ignore_eos && request.stream && request.include_usage);
  EXPECT_EQ(request.top_logprobs, 4);
}

TEST(ParseSampling, Defaults) {
  ApiRequest request;
  ASSERT_FALSE(Parse(ApiKind::kChat, R"("stop":"x","top_k":-1)", request));
  EXPECT_FLOAT_EQ(request.sampling.temperature, 1);
  EXPECT_EQ(request.sampling.top_k, 0);
  EXPECT_EQ(request.n, 1u);
  EXPECT_EQ(request.top_logprobs, -1);
  EXPECT_FALSE(request.seed.has_value());
  EXPECT_THAT(request.stop, ElementsAre("x"));
}

TEST(ParseSampling, LogprobsOfEachForm) {
  ApiRequest request;
  ASSERT_FALSE(Parse(ApiKind::kChat, R"("logprobs":true)", request));
  EXPECT_EQ(request.top_logprobs, 0);
  ASSERT_FALSE(Parse(ApiKind::kCompletion, R"("logprobs":3)", request));
  EXPECT_EQ(request.top_logprobs, 3);
  EXPECT_EQ(Parse(ApiKind::kChat, R"("top_logprobs":3)", request)->param, "top_logprobs");
}

TEST(ParseSampling, RangesAndTypesNameTheField) {
  const std::pair<const char*, const char*> cases[] = {
      {R"("temperature":2.1)", "temperature"},
      {R"("temperature":"hot")", "temperature"},
      {R"("top_p":1.01)", "top_p"},
      {R"("min_p":-0.1)", "min_p"},
      {R"("top_k":1.5)", "top_k"},
      {R"("presence_penalty":3)", "presence_penalty"},
      {R"("frequency_penalty":-3)", "frequency_penalty"},
      {R"("repetition_penalty":0)", "repetition_penalty"},
      {R"("logit_bias":[1])", "logit_bias"},
      {R"("logit_bias":{"x":1})", "logit_bias"},
      {R"("logit_bias":{"-4":1})", "logit_bias"},
      {R"("logit_bias":{"4":101})", "logit_bias"},
      {R"("logit_bias":{"4":null})", "logit_bias"},
      {R"("seed":"s")", "seed"},
      {R"("n":0)", "n"},
      {R"("n":17)", "n"},
      {R"("max_tokens":0)", "max_tokens"},
      {R"("max_completion_tokens":1e300)", "max_completion_tokens"},
      {R"("stop":7)", "stop"},
      {R"("stop":[7])", "stop"},
      {R"("stop_token_ids":[-1])", "stop_token_ids"},
      {R"("stream":"yes")", "stream"},
      {R"("stream_options":{})", "stream_options"},
      {R"("stream":true,"stream_options":7)", "stream_options"},
      {R"("logprobs":7)", "logprobs"},
      {R"("model":7)", "model"}};
  for (const auto& [field, param] : cases) {
    ApiRequest request;
    const auto error = Parse(ApiKind::kChat, field, request);
    ASSERT_TRUE(error.has_value()) << field;
    EXPECT_EQ(error->param, param);
    EXPECT_EQ(error->status, 400);
  }
  ApiRequest request;
  std::string ids = "1";
  for (size_t i = 1; i <= kMaxStopTokens; ++i) ids += ",1";
  EXPECT_EQ(Parse(ApiKind::kChat, R"("stop_token_ids":[)" + ids + "]", request)->param, "stop_token_ids");
  EXPECT_TRUE(Parse(ApiKind::kChat,
                    "\"stop\":[" + std::string(R"("a",)"
                                               R"("a",)"
                                               R"("a",)"
                                               R"("a",)"
                                               R"("a",)"
                                               R"("a",)"
                                               R"("a",)"
                                               R"("a",)"
                                               R"("a",)"
                                               R"("a",)"
                                               R"("a",)"
                                               R"("a",)"
                                               R"("a",)"
                                               R"("a",)"
                                               R"("a",)"
                                               R"("a",)"
                                               R"("a"])"),
                    request)
                  .has_value());
}

}  // namespace
}  // namespace baton::router
