#pragma once

// The model's own chat template (tokenizer.chat_template): the subset of Jinja2 that published templates use,
// with the options that transformers sets (trim_blocks, lstrip_blocks). An unknown construct is an
// Unimplemented error from Parse that names it and its line; `raise_exception(...)` in a template is an
// InvalidArgument from Render with its message.

#include <memory>
#include <string>
#include <vector>

#include "absl/status/statusor.h"
#include "absl/strings/string_view.h"

namespace baton {

struct ChatMessage {
  std::string role;
  std::string content;
};

struct ChatInput {
  std::vector<ChatMessage> messages;
  bool add_generation_prompt = true;
  std::string bos_token;
  std::string eos_token;
};

// Immutable, thread-safe. Rendering is bounded in steps and output size; exceeding either is
// ResourceExhausted.
class ChatTemplate {
 public:
  static absl::StatusOr<std::unique_ptr<ChatTemplate>> Parse(absl::string_view source);
  ~ChatTemplate();
  absl::StatusOr<std::string> Render(const ChatInput& input) const;

 private:
  struct Impl;
  explicit ChatTemplate(std::unique_ptr<Impl> impl);
  std::unique_ptr<Impl> impl_;
};

}  // namespace baton
