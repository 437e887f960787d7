#include "engine/text/chat_template.h"

#include <utility>

#include "common/status_macros.h"
#include "engine/text/jinja/interpreter.h"
#include "engine/text/jinja/parser.h"

namespace baton {

struct ChatTemplate::Impl {
  jinja::Body body;
};

ChatTemplate::ChatTemplate(std::unique_ptr<Impl> impl) : impl_(std::move(impl)) {}
ChatTemplate::~ChatTemplate() = default;

absl::StatusOr<std::unique_ptr<ChatTemplate>> ChatTemplate::Parse(absl::string_view source) {
  auto impl = std::make_unique<Impl>();
  BATON_ASSIGN_OR_RETURN(impl->body, jinja::ParseTemplate(source));
  return std::unique_ptr<ChatTemplate>(new ChatTemplate(std::move(impl)));
}

absl::StatusOr<std::string> ChatTemplate::Render(const ChatInput& input) const {
  using jinja::Value;
  std::vector<Value> messages;
  for (const ChatMessage& message : input.messages) {
    BATON_ASSIGN_OR_RETURN(Value value, jinja::MakeDict({{"role", Value::String(message.role)},
                                                         {"content", Value::String(message.content)}}));
    messages.push_back(std::move(value));
  }
  BATON_ASSIGN_OR_RETURN(Value list, jinja::MakeList(std::move(messages)));
  // transformers passes None for tools and documents that were not given.
  jinja::Interpreter interpreter({{"messages", std::move(list)},
                                  {"add_generation_prompt", Value{input.add_generation_prompt}},
                                  {"bos_token", Value::String(input.bos_token)},
                                  {"eos_token", Value::String(input.eos_token)},
                                  {"tools", Value{jinja::None{}}},
                                  {"documents", Value{jinja::None{}}}});
  return interpreter.Run(impl_->body);
}

}  // namespace baton
