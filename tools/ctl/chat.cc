#include <boost/json.hpp>
#include <cstdio>
#include <iostream>

#include "absl/strings/str_cat.h"
#include "absl/strings/str_format.h"
#include "common/status_macros.h"
#include "tools/ctl/commands.h"
#include "tools/ctl/http.h"
#include "tools/ctl/left_over.h"
#include "tools/ctl/process.h"
#include "tools/ctl/sse.h"

namespace baton::ctl {
namespace {

namespace json = boost::json;

// An answer that breaks off is gone on with, for as long as a router takes to start again.
constexpr int kComeBack = 40;
constexpr absl::Duration kComeBackAfter = absl::Milliseconds(500);

// Prints the answer as it comes and returns it whole.
absl::StatusOr<std::string> Ask(const std::string& url, const std::string& model, const ChatOptions& options,
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
  HttpRequest request{url + "/v1/chat/completions", json::serialize(body), absl::Minutes(5)};
  auto response = FetchStream(request, take);
  const auto broke_off = [&] { return !whole && failure.ok() && !reader.last_id().empty(); };
  for (int again = 0; again < kComeBack && broke_off(); ++again) {  // docs/streams.md
    WaitForSignal({}, kComeBackAfter);
    response = FetchStream({absl::StrCat(url, "/v1/streams/", reader.last_id()), "", absl::Minutes(5)}, take);
    if (response.ok() && response->code == 404) break;
  }
  absl::PrintF("\n");
  BATON_RETURN_IF_ERROR(response.status());
  BATON_RETURN_IF_ERROR(failure);
  if (response->code != 200)
    return absl::UnknownError(absl::StrCat(ErrorMessage(response->body), " (HTTP ", response->code, ")"));
  if (!whole) return absl::UnavailableError("the answer broke off");
  return answer;
}

absl::StatusOr<std::string> FindUrl(const Surroundings& here, const ChatOptions& options) {
  if (!options.url.empty()) return options.url;
  const auto record = FindCluster(here, ClusterFolder(here.state_root, options.name));
  if (absl::IsPermissionDenied(record.status())) return record.status();
  if (!record.ok())
    return absl::NotFoundError(
        absl::StrCat("no cluster named '", options.name, "' runs here: ./baton up starts one"));
  return RouterUrl(*record);
}

json::object Message(const char* role, const std::string& content) {
  return {{"role", role}, {"content", content}};
}

}  // namespace

absl::StatusOr<std::string> ServedModel(const std::string& url) {
  BATON_ASSIGN_OR_RETURN(const HttpResponse response, Fetch({url + "/v1/models"}));
  json::error_code error;
  const json::value value = json::parse(response.body, error);
  const json::value* id = error ? nullptr : value.find_pointer("/data/0/id", error);
  if (id == nullptr || !id->is_string())
    return absl::UnavailableError(absl::StrCat("no model is served at ", url));
  return json::value_to<std::string>(*id);
}

int Chat(const Surroundings& here, const ChatOptions& options) {
  const auto url = FindUrl(here, options);
  if (!url.ok()) return Fail(std::string(url.status().message()));
  const auto model = ServedModel(*url);
  if (!model.ok()) return Fail(absl::StrCat(model.status().message(), ". Is the server up? ./baton status"));
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
    const auto answer = Ask(*url, *model, options, messages);
    if (!answer.ok()) return Fail(std::string(answer.status().message()));
    if (!interactive) return 0;
    messages.push_back(Message("assistant", *answer));
  }
}

}  // namespace baton::ctl
