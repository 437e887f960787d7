#pragma once

// Pieces of JSON text, appended to a string.

#include <optional>
#include <string>

#include "absl/strings/string_view.h"

namespace baton::load {

// `text` in quotes, escaped. Bytes that are not UTF-8 pass as they are.
void AppendQuoted(absl::string_view text, std::string& out);

// Seven significant digits, or as a whole number where it is one; null for no number and for what is not
// finite.
void AppendNumber(std::optional<double> number, std::string& out);

// Members of an object, with the commas between them: `JsonMembers m(out, '{', '}')` opens it, its end closes
// it. For an array ('[', ']') call Next() before each element.
class JsonMembers {
 public:
  JsonMembers(std::string& out, char open, char close);
  ~JsonMembers();
  JsonMembers(const JsonMembers&) = delete;
  JsonMembers& operator=(const JsonMembers&) = delete;

  std::string& Next();                       // what is appended to the result is the next element
  std::string& Next(absl::string_view key);  // ... the next member's value
  void Text(absl::string_view key, absl::string_view value) { AppendQuoted(value, Next(key)); }
  void Number(absl::string_view key, std::optional<double> value) { AppendNumber(value, Next(key)); }
  void Bool(absl::string_view key, std::optional<bool> value);

 private:
  std::string& out_;
  char close_;
  bool first_ = true;
};

}  // namespace baton::load
