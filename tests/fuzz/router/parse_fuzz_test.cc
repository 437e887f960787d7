// 100,000 mutated bodies: each parses or is refused in OpenAI's form; nothing crashes.

#include <gtest/gtest.h>

#include "services/router/openai/json_text.h"
#include "services/router/openai/parse.h"
#include "services/router/openai/stop_scanner.h"
#include "tests/fuzz/router/mutator.h"

namespace baton::router::testing {
namespace {

constexpr uint64_t kMutations = 100000;

const std::vector<std::string> kBodies = {
    R"({"model":"m","messages":[{"role":"system","content":"s"},{"role":"user","content":[{"type":"text","text":"ü🚀"}]}],
"temperature":0.5,"top_p":0.9,"n":2,"stop":["a","b"],"logit_bias":{"5":-100},"seed":-1,"logprobs":true,"top_logprobs":4,
"stream":true,"stream_options":{"include_usage":true},"max_tokens":9,"response_format":{"type":"text"},"tools":[]})",
    R"({"prompt":["one","two"],"max_tokens":5,"logprobs":3,"stop":"x","presence_penalty":1.5,"ignore_eos":true})",
    R"({"prompt":[[1,2,3],[4]],"stop_token_ids":[2],"best_of":1,"echo":false,"suffix":"","min_p":0.1,"top_k":40})"};

const std::vector<std::string> kWords = {"null",
                                         "true",
                                         "-1",
                                         "1e999",
                                         "18446744073709551616",
                                         "\"",
                                         "\\u0000",
                                         "\\ud800",
                                         "[[[[[[[[",
                                         "{\"a\":",
                                         "]",
                                         "}",
                                         ",",
                                         ":",
                                         "\xff\xfe",
                                         "\xF0\x9F\x9A\x80",
                                         "0.0000001",
                                         "\"messages\":",
                                         "\"prompt\":",
                                         "\"n\":",
                                         "\"stop\":",
                                         "99999999999",
                                         "\"role\":\"user\""};

TEST(ParseFuzz, MutatedBodies) {
  uint64_t accepted = 0;
  for (uint64_t seed = 0; seed < kMutations; ++seed) {
    Mutator mutator(seed, kWords);
    const std::string body = mutator.Mutate(kBodies[seed % kBodies.size()]);
    ApiRequest request;
    const ApiKind kind = seed % kBodies.size() == 0 ? ApiKind::kChat : ApiKind::kCompletion;
    const auto error = ParseRequest(kind, body, {}, request);
    if (error) {
      ASSERT_EQ(error->status, 400) << "seed " << seed;
      ASSERT_FALSE(error->message.empty()) << "seed " << seed;
      ASSERT_FALSE(error->ToJson().empty());
      continue;
    }
    ++accepted;
    ASSERT_GE(request.n, 1u) << "seed " << seed;
    ASSERT_LE(request.n, 16u) << "seed " << seed;
    ASSERT_TRUE(request.kind == ApiKind::kChat ? !request.messages.empty() : !request.prompts.empty())
        << "seed " << seed;
    for (const std::string& stop : request.stop) ASSERT_FALSE(stop.empty());
    StopScanner scanner(request.stop);
    scanner.Append(body);
    JsonString(body);
  }
  EXPECT_GT(accepted, kMutations / 100) << "the mutations must reach behind the parser";
  EXPECT_LT(accepted, kMutations) << "and be refused too";
}

}  // namespace
}  // namespace baton::router::testing
