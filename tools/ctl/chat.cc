#include <boost/json.hpp>
#include <cstdio>
#include <iostream>

#include "absl/strings/str_cat.h"
#include "absl/strings/str_format.h"
#include "common/status_macros.h"
#include "tools/ctl/commands.h"
#include "tools/ctl/process.h"
#include "tools/ctl/server.h"
#include "tools/ctl/sse.h"

namespace baton::ctl {
namespace {

namespace json = boost::json;

// An answer that breaks off is gone on with, for as long as a router takes to start again.
constexpr int kComeBack = 40;
constexpr absl::Duration kComeBackAfter = absl::Milliseconds(500);

// Prints the answer as it comes and returns it whole.
absl::StatusOr<std::string> Ask(const Server& server, const std::string& model, const ChatOptions& options,
                                const json::array& messages) {
  json::object body{
      {"model", model}, {"messages", messages}, {"stream", true}, {"max_tokens", options.max_tokens}};
  if (options.temperature) body["temperature"] = *options.temperature;
  if (options.seed) body["seed"] = *options.seed;
  SseReader reader;
  std::string answer;
  absl::Status failure;
  bool whole = false;
  const auto take = [&](absl::string_view data) {
    for (const std::string& event : reader.Add(data)) {
      whole |= event == "[DONE]";
      if (whole) return false;
      const auto text = DeltaText(event);
      if (!text.ok()) failure = text.status();
      if (!text.ok()) return false;
      absl::PrintF("%s", *text);
      fflush(stdout);
      absl::StrAppend(&answer, *text);
    }
    return true;
  };
  auto response =
      FetchStream(server.Request("/v1/chat/completions", json::serialize(body), absl::Minutes(5)), take);
  const auto broke_off = [&] { return !whole && failure.ok() && !reader.last_id().empty(); };
  for (int again = 0; again < kComeBack && broke_off(); ++again) {  // docs/streams.md
    WaitForSignal({}, kComeBackAfter);
    response = FetchStream(
        server.Request(absl::StrCat("/v1/streams/", reader.last_id()), "", absl::Minutes(5)), take);
    if (response.ok() && response->code == 404) break;
  }
  absl::PrintF("\n");
  BATON_RETURN_IF_ERROR(response.status());
  BATON_RETURN_IF_ERROR(failure);
  BATON_RETURN_IF_ERROR(CheckAnswer(server, *response));
  if (!whole) return absl::UnavailableError("the answer broke off");
  return answer;
}

json::object Message(const char* role, const std::string& content) {
  return {{"role", role}, {"content", content}};
}

}  // namespace

int Chat(const Surroundings& here, const ChatOptions& options) {
  const auto server = FindServer(here, options.name, options.server);
  if (!server.ok()) return Fail(std::string(server.status().message()));
  const auto model = ServedModel(*server);
  if (absl::IsUnavailable(model.status()))
    return Fail(absl::StrCat(model.status().message(), ". Is the server up? ./baton status"));
  if (!model.ok()) return Fail(std::string(model.status().message()));
  json::array messages;
  if (!options.system.empty()) messages.push_back(Message("system", options.system));
  const bool interactive = options.text.empty();
  std::string text = options.text;
  for (;;) {
    if (interactive) {
      if (here.terminal) absl::PrintF("> ");
      fflush(stdout);
      if (!std::getline(std::cin, text) || text.empty()) return 0;
    }
    messages.push_back(Message("user", text));
    const auto answer = Ask(*server, *model, options, messages);
    if (!answer.ok()) return Fail(std::string(answer.status().message()));
    if (!interactive) return 0;
    messages.push_back(Message("assistant", *answer));
  }
}

}  // namespace baton::ctl
