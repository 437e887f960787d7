#include "tools/load/openai_event.h"

#include <array>
#include <boost/json.hpp>

#include "absl/strings/ascii.h"
#include "absl/strings/str_cat.h"

namespace baton::load {
namespace {

namespace json = boost::json;

constexpr size_t kMostErrorBytes = 300;

std::string Text(const json::object& object, const char* key) {
  const json::value* value = object.if_contains(key);
  return value != nullptr && value->is_string() ? std::string(value->get_string()) : std::string();
}

std::optional<int64_t> Count(const json::object& object, const char* key) {
  const json::value* value = object.if_contains(key);
  boost::system::error_code error;
  const int64_t count = value == nullptr ? -1 : value->to_number<int64_t>(error);
  if (error || count < 0) return std::nullopt;
  return count;
}

std::string ErrorMessage(const json::value& error) {
  if (error.is_string()) return std::string(error.get_string());
  const json::object* object = error.if_object();
  const std::string message = object == nullptr ? "" : Text(*object, "message");
  return message.empty() ? json::serialize(error) : message;
}

void ReadChoice(const json::object& choice, OpenAiEvent& event) {
  event.finish_reason = Text(choice, "finish_reason");
  event.text = Text(choice, "text");
  if (const json::value* delta = choice.if_contains("delta"); delta != nullptr && delta->is_object()) {
    const json::object& object = delta->get_object();
    event.text = Text(object, "content");
    for (const char* key : {"reasoning_content", "reasoning"}) {
      if (event.text.empty()) event.text = Text(object, key);
    }
  }
  const json::value* ids = choice.if_contains("token_ids");
  if (ids == nullptr || !ids->is_array()) return;
  for (const json::value& id : ids->get_array()) {
    boost::system::error_code error;
    const int32_t token = id.to_number<int32_t>(error);
    if (!error) event.token_ids.push_back(token);
  }
}

std::string OneLine(absl::string_view text) {
  std::string line(absl::StripAsciiWhitespace(text.substr(0, kMostErrorBytes)));
  for (char& c : line) c = absl::ascii_iscntrl(static_cast<unsigned char>(c)) ? ' ' : c;
  return line;
}

}  // namespace

absl::StatusOr<OpenAiEvent> ParseOpenAiEvent(absl::string_view data) {
  std::array<unsigned char, 8192> buffer;
  json::monotonic_resource memory(buffer.data(), buffer.size());
  boost::system::error_code error;
  const json::value value = json::parse({data.data(), data.size()}, error, &memory);
  const json::object* object = value.if_object();
  if (error || object == nullptr)
    return absl::InvalidArgumentError(
        absl::StrCat("an event that is no JSON object: ", OneLine(data.substr(0, 80))));
  OpenAiEvent event;
  event.id = Text(*object, "id");
  if (const json::value* failure = object->if_contains("error"); failure != nullptr && !failure->is_null())
    event.error = OneLine(ErrorMessage(*failure));
  if (const json::value* usage = object->if_contains("usage"); usage != nullptr && usage->is_object()) {
    event.prompt_tokens = Count(usage->get_object(), "prompt_tokens");
    event.completion_tokens = Count(usage->get_object(), "completion_tokens");
  }
  const json::value* choices = object->if_contains("choices");
  if (choices != nullptr && choices->is_array() && !choices->get_array().empty()) {
    const json::object* choice = choices->get_array().front().if_object();
    if (choice != nullptr) ReadChoice(*choice, event);
  }
  return event;
}

std::string ErrorText(absl::string_view body) {
  boost::system::error_code error;
  const json::value value = json::parse({body.data(), body.size()}, error);
  const json::object* object = error ? nullptr : value.if_object();
  const json::value* failure = object == nullptr ? nullptr : object->if_contains("error");
  return OneLine(failure == nullptr ? std::string(body) : ErrorMessage(*failure));
}

absl::StatusOr<std::string> FirstModel(absl::string_view body) {
  boost::system::error_code error;
  const json::value value = json::parse({body.data(), body.size()}, error);
  const json::object* object = error ? nullptr : value.if_object();
  const json::value* data = object == nullptr ? nullptr : object->if_contains("data");
  const json::array* models = data == nullptr ? nullptr : data->if_array();
  const json::object* first = models == nullptr || models->empty() ? nullptr : models->front().if_object();
  const std::string name = first == nullptr ? "" : Text(*first, "id");
  if (name.empty()) return absl::NotFoundError("the endpoint lists no model: name one with --model");
  return name;
}

}  // namespace baton::load
