#include "tests/integration/router/sse_text.h"

#include <boost/json/parse.hpp>
#include <boost/json/serialize.hpp>
#include <boost/json/value.hpp>
#include <ostream>

#include "absl/strings/match.h"
#include "absl/strings/str_cat.h"
#include "absl/strings/str_split.h"
#include "absl/strings/strip.h"

namespace baton::router::testing {
namespace {

namespace json = boost::json;

void AddTokens(const json::value& logprobs, std::string& scores) {
  if (!logprobs.is_object()) return;
  for (const auto& [name, list] : logprobs.get_object()) {
    if (!list.is_array() || name == "text_offset") continue;
    for (const json::value& one : list.get_array())
      absl::StrAppend(&scores, std::string(name), "=", json::serialize(one), ";");
  }
}

void AddChoice(const json::object& in, SseText::Choice& choice) {
  if (const json::value* text = in.if_contains("text")) choice.text += text->get_string().c_str();
  if (const json::value* delta = in.if_contains("delta")) {
    const json::object& fields = delta->get_object();
    if (fields.contains("role")) ++choice.roles;
    if (const json::value* content = fields.if_contains("content"))
      choice.text += content->get_string().c_str();
  }
  AddTokens(in.at("logprobs"), choice.scores);
  if (const json::value* ids = in.if_contains("token_ids")) {
    for (const json::value& id : ids->get_array())
      absl::StrAppend(&choice.token_ids, json::serialize(id), ",");
  }
  if (in.at("finish_reason").is_string()) choice.finish += in.at("finish_reason").get_string().c_str();
}

}  // namespace

void SseText::Add(absl::string_view raw, size_t most) {
  size_t with_id = 0;
  std::string id;
  for (absl::string_view line : absl::StrSplit(raw.substr(0, raw.rfind("\n\n") + 2), '\n')) {
    if (absl::ConsumePrefix(&line, "id: ")) {
      id = std::string(line);
      continue;
    }
    if (!absl::ConsumePrefix(&line, "data: ")) continue;
    if (line == "[DONE]") {
      done = with_id < most;
      return;
    }
    if (!id.empty() && with_id++ == most) return;
    const json::object event = json::parse(json::string_view(line.data(), line.size())).get_object();
    for (const json::value& one : event.at("choices").get_array()) {
      const size_t index = one.get_object().at("index").to_number<size_t>();
      if (choices.size() <= index) choices.resize(index + 1);
      AddChoice(one.get_object(), choices[index]);
    }
    if (const json::value* counts = event.if_contains("usage"); counts != nullptr && counts->is_object()) {
      json::object told = counts->as_object();
      told.erase("prompt_tokens_details");
      usage += json::serialize(told);
    }
    if (!id.empty()) ids.push_back(std::exchange(id, ""));
  }
}

std::ostream& operator<<(std::ostream& out, const SseText& text) {
  for (const SseText::Choice& choice : text.choices) {
    out << "\n[" << choice.text << "] " << choice.token_ids << " " << choice.finish << " roles "
        << choice.roles << " " << choice.scores;
  }
  return out << "\n" << text.usage << (text.done ? " done" : " not done");
}

}  // namespace baton::router::testing
