#include "absl/status/status.h"
#include "absl/strings/str_cat.h"
#include "absl/strings/str_format.h"
#include "common/status_macros.h"
#include "engine/text/jinja/value.h"

namespace baton::jinja {
namespace {

std::string Quoted(const std::string& text) {
  std::string out = "\"";
  for (const char c : text) {
    switch (c) {
      case '"':
        out += "\\\"";
        break;
      case '\\':
        out += "\\\\";
        break;
      case '\n':
        out += "\\n";
        break;
      case '\r':
        out += "\\r";
        break;
      case '\t':
        out += "\\t";
        break;
      case '\b':
        out += "\\b";
        break;
      case '\f':
        out += "\\f";
        break;
      default:
        if (static_cast<uint8_t>(c) < 0x20) {
          absl::StrAppendFormat(&out, "\\u%04x", static_cast<uint8_t>(c));
        } else {
          out.push_back(c);
        }
    }
  }
  return out + "\"";
}

class JsonWriter {
 public:
  explicit JsonWriter(int indent) : indent_(indent) {}

  absl::Status Write(const Value& value, int level) {
    if (const List* list = value.AsList()) {
      return Container('[', ']', list->items, level,
                       [&](const Value& item) { return Write(item, level + 1); });
    }
    if (const Dict* dict = value.AsDict()) {
      return Container('{', '}', dict->items, level, [&](const auto& item) {
        absl::StrAppend(&out_, Quoted(item.first), ": ");
        return Write(item.second, level + 1);
      });
    }
    return Scalar(value);
  }

  std::string Take() { return std::move(out_); }

 private:
  absl::Status Scalar(const Value& value) {
    if (const std::string* text = value.AsText()) {
      out_ += Quoted(*text);
    } else if (value.IsNone()) {
      out_ += "null";
    } else if (const bool* flag = std::get_if<bool>(&value.held)) {
      out_ += *flag ? "true" : "false";
    } else if (value.IsInteger()) {
      absl::StrAppend(&out_, value.Integer());
    } else if (value.IsNumber()) {
      out_ += FloatText(value.Number());
    } else {
      return absl::InvalidArgumentError(absl::StrCat("tojson of a ", TypeName(value)));
    }
    return absl::OkStatus();
  }

  template <typename Items, typename WriteItem>
  absl::Status Container(char open, char close, const Items& items, int level, const WriteItem& write) {
    out_.push_back(open);
    bool first = true;
    for (const auto& item : items) {
      if (!first) out_ += indent_ < 0 ? ", " : ",";
      first = false;
      Newline(level + 1);
      BATON_RETURN_IF_ERROR(write(item));
    }
    if (!first) Newline(level);
    out_.push_back(close);
    return absl::OkStatus();
  }

  void Newline(int level) {
    if (indent_ < 0) return;
    out_.push_back('\n');
    out_.append(static_cast<size_t>(indent_) * static_cast<size_t>(level), ' ');
  }

  int indent_;
  std::string out_;
};

}  // namespace

absl::StatusOr<std::string> ToJson(const Value& value, int indent) {
  JsonWriter writer(indent);
  BATON_RETURN_IF_ERROR(writer.Write(value, 0));
  return writer.Take();
}

}  // namespace baton::jinja
