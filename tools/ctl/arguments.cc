#include "tools/ctl/arguments.h"

#include "absl/strings/numbers.h"
#include "absl/strings/str_cat.h"

namespace baton::ctl {

absl::StatusOr<Arguments> Arguments::Parse(absl::Span<const std::string> words,
                                           const std::set<std::string>& valued,
                                           const std::set<std::string>& switches) {
  Arguments result;
  for (size_t i = 0; i < words.size(); ++i) {
    const std::string& word = words[i];
    if (word == "--") {
      result.passed_on_.assign(words.begin() + i + 1, words.end());
      break;
    }
    if (word.size() < 2 || word[0] != '-') {
      result.positional_.push_back(word);
      continue;
    }
    const size_t equals = word.find('=');
    const std::string name = word.substr(
        word[1] == '-' ? 2 : 1, equals == std::string::npos ? equals : equals - (word[1] == '-' ? 2 : 1));
    if (switches.count(name) > 0) {
      if (equals != std::string::npos)
        return absl::InvalidArgumentError(absl::StrCat("--", name, " takes no value"));
      result.values_[name] = "";
    } else if (valued.count(name) > 0) {
      if (equals == std::string::npos && i + 1 == words.size()) {
        return absl::InvalidArgumentError(absl::StrCat("--", name, " needs a value"));
      }
      result.values_[name] = equals == std::string::npos ? words[++i] : word.substr(equals + 1);
    } else {
      return absl::InvalidArgumentError(absl::StrCat("unknown option ", word));
    }
  }
  return result;
}

std::string Arguments::Text(const std::string& name, const std::string& otherwise) const {
  const auto found = values_.find(name);
  return found == values_.end() ? otherwise : found->second;
}

absl::StatusOr<int> Arguments::Number(const std::string& name, int otherwise, int least, int most) const {
  const auto found = values_.find(name);
  if (found == values_.end()) return otherwise;
  int value = 0;
  if (!absl::SimpleAtoi(found->second, &value) || value < least || value > most) {
    return absl::InvalidArgumentError(absl::StrCat("--", name, " must be a whole number from ", least, " to ",
                                                   most, ", not '", found->second, "'"));
  }
  return value;
}

absl::StatusOr<std::optional<double>> Arguments::Real(const std::string& name) const {
  const auto found = values_.find(name);
  if (found == values_.end()) return std::nullopt;
  double value = 0;
  if (!absl::SimpleAtod(found->second, &value)) {
    return absl::InvalidArgumentError(
        absl::StrCat("--", name, " must be a number, not '", found->second, "'"));
  }
  return value;
}

}  // namespace baton::ctl
