#include "services/router/openai/parse.h"

#include <gmock/gmock.h>
#include <gtest/gtest.h>

namespace baton::router {
namespace {

using ::testing::ElementsAre;
using ::testing::HasSubstr;

ApiRequest Parsed(ApiKind kind, const std::string& body) {
  ApiRequest request;
  const auto error = ParseRequest(kind, body, {}, request);
  EXPECT_FALSE(error.has_value()) << error->message;
  return request;
}

ApiError Refused(ApiKind kind, const std::string& body) {
  ApiRequest request;
  auto error = ParseRequest(kind, body, {}, request);
  EXPECT_TRUE(error.has_value()) << body;
  return error.value_or(ApiError());
}

std::string Chat(const std::string& more) {
  return R"({"messages":[{"role":"user","content":"hi"}])" + more + "}";
}

TEST(ParseChat, MessagesInBothForms) {
  const ApiRequest request = Parsed(ApiKind::kChat, R"({"model":"m","messages":[
      {"role":"developer","content":"be kind"},
      {"role":"user","content":[{"type":"text","text":"a"},{"type":"text","text":"b"}],"name":"ignored"},
      {"role":"assistant","content":null,"tool_calls":[]}]})");
  ASSERT_EQ(request.messages.size(), 3u);
  EXPECT_EQ(request.messages[0].role, "system");
  EXPECT_EQ(request.messages[1].content, "ab");
  EXPECT_EQ(request.messages[2].content, "");
  EXPECT_EQ(request.model, "m");
  EXPECT_FALSE(request.max_tokens.has_value());
}

TEST(ParseChat, UnknownAndHarmlessFieldsAreIgnored) {
  Parsed(ApiKind::kChat,
         Chat(R"(,"user":"u","metadata":{"a":"b"},"store":true,"tools":[],"tool_choice":"auto","new":[1],
      "response_format":{"type":"text"},"stop":null,"n":null,"temperature":null)"));
}

TEST(ParseChat, WhatChangesTheAnswerIsRefusedByName) {
  const std::pair<const char*, const char*> cases[] = {
      {R"(,"tool_choice":"required")", "tool_choice"},
      {R"(,"tool_choice":{"type":"function"})", "tool_choice"},
      {R"(,"function_call":{"name":"f"})", "function_call"},
      {R"(,"response_format":{"type":"json_schema"})", "response_format"},
      {R"(,"response_format":7)", "response_format"},
      {R"(,"tools":[{"type":"function"}])", "tools"},
      {R"(,"tools":[{"type":"function"}],"tool_choice":"auto")", "tools"},
      {R"(,"functions":[{"name":"f"}])", "functions"},
      {R"(,"audio":{})", "audio"},
      {R"(,"web_search_options":{})", "web_search_options"},
      {R"(,"best_of":3)", "best_of"}};
  for (const auto& [field, param] : cases) EXPECT_EQ(Refused(ApiKind::kChat, Chat(field)).param, param);
  const ApiError image =
      Refused(ApiKind::kChat, R"({"messages":[{"role":"user","content":[{"type":"image_url"}]}]})");
  EXPECT_EQ(image.param, "messages[0].content");
  EXPECT_THAT(image.message, HasSubstr("image_url"));
}

TEST(ParseChat, ToolsThatAreTurnedOffAreIgnored) {
  Parsed(ApiKind::kChat, Chat(R"(,"tools":[{"type":"function"}],"tool_choice":"none")"));
}

TEST(ParseChat, ToolCallsInMessagesAreRefused) {
  for (const char* call : {R"("tool_calls":[{"id":"1"}])", R"("function_call":{"name":"f"})"}) {
    const std::string message = std::string(R"({"role":"assistant","content":null,)") + call + "}";
    EXPECT_EQ(Refused(ApiKind::kChat, R"({"messages":[)" + message + "]}").param, "messages[0].tool_calls");
  }
}

TEST(ParseChat, BadMessages) {
  for (const char* messages :
       {"null", "[]", "7", "[7]", R"([{"content":"x"}])", R"([{"role":7}])", R"([{"role":"pirate"}])",
        R"([{"role":"user"}])", R"([{"role":"user","content":null}])", R"([{"role":"user","content":7}])",
        R"([{"role":"user","content":[7]}])", R"([{"role":"user","content":[{"type":"text"}]}])"}) {
    const ApiError error = Refused(ApiKind::kChat, std::string(R"({"messages":)") + messages + "}");
    EXPECT_EQ(error.status, 400);
    EXPECT_THAT(error.param, HasSubstr("messages"));
  }
}

TEST(ParseCompletion, PromptsInAllForms) {
  EXPECT_EQ(std::get<std::string>(Parsed(ApiKind::kCompletion, R"({"prompt":"p"})").prompts[0]), "p");
  EXPECT_EQ(Parsed(ApiKind::kCompletion, R"({"prompt":["p","q"]})").prompts.size(), 2u);
  EXPECT_THAT(std::get<std::vector<TokenId>>(Parsed(ApiKind::kCompletion, R"({"prompt":[1,2]})").prompts[0]),
              ElementsAre(1, 2));
  EXPECT_EQ(Parsed(ApiKind::kCompletion, R"({"prompt":[[1],[2,3]]})").prompts.size(), 2u);
  for (const char* prompt : {"null", "[]", "{}", "true", "[1,\"a\"]", "[[]]", "[1.5]", "[-1]", "[[1],7]"}) {
    EXPECT_EQ(Refused(ApiKind::kCompletion, std::string(R"({"prompt":)") + prompt + "}").param, "prompt")
        << prompt;
  }
  EXPECT_EQ(Refused(ApiKind::kCompletion, R"({"prompt":"p","echo":true})").param, "echo");
  EXPECT_EQ(Refused(ApiKind::kCompletion, R"({"prompt":"p","suffix":"s"})").param, "suffix");
  EXPECT_EQ(Refused(ApiKind::kCompletion, R"({"prompt":["a","b","c","d","e","f","g","h","i"],"n":16})").param,
            "n");
}

TEST(Parse, NotJson) {
  for (const char* body : {"", "{", "[]", "7", "{\"a\":}", "{} x", "\xff", R"({"prompt":"\ud800"})"}) {
    EXPECT_EQ(Refused(ApiKind::kCompletion, body).code, "invalid_json") << body;
  }
  EXPECT_EQ(Refused(ApiKind::kChat, std::string(100, '[')).code, "invalid_json") << "too deep";
}

TEST(ParseCacheSalt, IsAShortStringOrAbsent) {
  EXPECT_EQ(Parsed(ApiKind::kChat, Chat("")).cache_salt, "");
  EXPECT_EQ(Parsed(ApiKind::kChat, Chat(R"(,"cache_salt":null)")).cache_salt, "");
  EXPECT_EQ(Parsed(ApiKind::kChat, Chat(R"(,"cache_salt":"tenant-7")")).cache_salt, "tenant-7");
  for (const std::string& bad :
       {std::string("\"\""), std::string("7"), "\"" + std::string(257, 'a') + "\""}) {
    EXPECT_EQ(Refused(ApiKind::kChat, Chat(",\"cache_salt\":" + bad)).param, "cache_salt") << bad;
  }
}

}  // namespace
}  // namespace baton::router
