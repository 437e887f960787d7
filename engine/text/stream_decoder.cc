#include "absl/strings/str_cat.h"
#include "engine/text/tokenizer.h"
#include "engine/text/utf8.h"

namespace baton {

std::string StreamDecoder::Append(TokenId token) {
  if (tokenizer_.IsSpecial(token)) return "";
  pending_ += tokenizer_.TokenBytes(token);
  absl::string_view rest = pending_;
  std::string out;
  while (!rest.empty()) {
    const Utf8Step step = NextUtf8(rest);
    if (step.kind == Utf8Kind::kIncomplete) break;
    absl::StrAppend(&out,
                    step.kind == Utf8Kind::kValid ? rest.substr(0, step.length) : kReplacementCharacter);
    rest.remove_prefix(step.length);
  }
  pending_.erase(0, pending_.size() - rest.size());
  return out;
}

std::string StreamDecoder::Flush() {
  std::string out = ReplaceInvalidUtf8(pending_);
  pending_.clear();
  return out;
}

}  // namespace baton
