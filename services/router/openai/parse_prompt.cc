#include "services/router/openai/parse_prompt.h"

#include <boost/json/array.hpp>
#include <boost/json/value.hpp>
#include <utility>

#include "absl/strings/str_cat.h"

namespace baton::router {
namespace {

namespace json = boost::json;

// A string, or text parts joined.
std::optional<std::string> ContentText(const json::value* content, absl::string_view where, Fields& fields) {
  if (content == nullptr || content->is_null()) return std::string();
  if (content->is_string()) return std::string(content->get_string());
  if (!content->is_array()) {
    fields.Fail(where, absl::StrCat("'", where, "' must be a string or a list of parts"), "invalid_type");
    return std::nullopt;
  }
  std::string text;
  for (const json::value& part : content->get_array()) {
    const json::object* object = part.if_object();
    const json::value* type = object == nullptr ? nullptr : object->if_contains("type");
    if (type == nullptr || !type->is_string()) {
      fields.Fail(where, absl::StrCat("each part of '", where, "' must be an object with a type"),
                  "invalid_type");
      return std::nullopt;
    }
    if (type->get_string() != "text") {
      fields.Refuse(where, absl::StrCat("content of type '", std::string(type->get_string()), "'"));
      return std::nullopt;
    }
    const json::value* inner = object->if_contains("text");
    if (inner == nullptr || !inner->is_string()) {
      fields.Fail(where, absl::StrCat("a text part of '", where, "' has no text"), "invalid_type");
      return std::nullopt;
    }
    text += inner->get_string();
  }
  return text;
}

bool KnownRole(absl::string_view role) {
  for (const absl::string_view known : {"system", "user", "assistant", "tool", "function"}) {
    if (role == known) return true;
  }
  return false;
}

bool CallsTools(const json::object& message) {
  const json::value* calls = message.if_contains("tool_calls");
  if (calls != nullptr && !calls->is_null() && !(calls->is_array() && calls->get_array().empty()))
    return true;
  const json::value* call = message.if_contains("function_call");
  return call != nullptr && !call->is_null();
}

std::optional<std::vector<TokenId>> TokenList(const json::array& array) {
  std::vector<TokenId> tokens;
  tokens.reserve(array.size());
  for (const json::value& value : array) {
    const auto token = AsInteger(value, 0, INT32_MAX);
    if (!token) return std::nullopt;
    tokens.push_back(static_cast<TokenId>(*token));
  }
  return tokens;
}

}  // namespace

void ParseMessages(Fields& fields, const ParseLimits& limits, ApiRequest& out) {
  const json::value* messages = fields.Get("messages");
  if (messages == nullptr || !messages->is_array() || messages->get_array().empty()) {
    return fields.Fail("messages", "'messages' must be a list of at least one message", "invalid_type");
  }
  if (messages->get_array().size() > limits.max_messages) {
    return fields.Fail("messages", absl::StrCat("at most ", limits.max_messages, " messages"),
                       "invalid_value");
  }
  for (size_t i = 0; i < messages->get_array().size(); ++i) {
    const std::string where = absl::StrCat("messages[", i, "]");
    const json::object* object = messages->get_array()[i].if_object();
    const json::value* role = object == nullptr ? nullptr : object->if_contains("role");
    if (role == nullptr || !role->is_string()) {
      return fields.Fail(where, absl::StrCat("'", where, "' must be an object with a role"), "invalid_type");
    }
    ChatMessage message;
    message.role = std::string(role->get_string());
    if (message.role == "developer") message.role = "system";
    if (!KnownRole(message.role)) {
      return fields.Fail(where + ".role", absl::StrCat("'", message.role, "' is not a role"),
                         "invalid_value");
    }
    const json::value* content = object->if_contains("content");
    if (message.role != "assistant" && (content == nullptr || content->is_null())) {
      return fields.Fail(where + ".content", absl::StrCat("'", where, "' has no content"), "invalid_type");
    }
    if (CallsTools(*object)) return fields.Refuse(where + ".tool_calls", "a message's tool call");
    std::optional<std::string> text = ContentText(content, where + ".content", fields);
    if (!text) return;
    message.content = std::move(*text);
    out.messages.push_back(std::move(message));
  }
}

void ParsePrompts(Fields& fields, const ParseLimits& limits, ApiRequest& out) {
  constexpr absl::string_view kWant =
      "'prompt' must be a string, a list of strings, a list of token ids or a list of such lists, and not "
      "empty";
  const json::value* prompt = fields.Get("prompt");
  if (prompt == nullptr) return fields.Fail("prompt", kWant, "invalid_type");
  if (prompt->is_string()) {
    out.prompts.emplace_back(std::string(prompt->get_string()));
    return;
  }
  const json::array* array = prompt->if_array();
  if (array == nullptr || array->empty()) return fields.Fail("prompt", kWant, "invalid_type");
  if (array->front().is_number()) {
    auto tokens = TokenList(*array);
    if (!tokens) return fields.Fail("prompt", kWant, "invalid_type");
    out.prompts.emplace_back(std::move(*tokens));
    return;
  }
  if (array->size() > limits.max_prompts) {
    return fields.Fail("prompt", absl::StrCat("at most ", limits.max_prompts, " prompts"), "invalid_value");
  }
  for (const json::value& one : *array) {
    if (one.is_string()) {
      out.prompts.emplace_back(std::string(one.get_string()));
      continue;
    }
    auto tokens = one.is_array() ? TokenList(one.get_array()) : std::nullopt;
    if (!tokens || tokens->empty()) return fields.Fail("prompt", kWant, "invalid_type");
    out.prompts.emplace_back(std::move(*tokens));
  }
}

}  // namespace baton::router
