#include "tests/unit/engine/text/string_source.h"

#include <cstdio>
#include <cstdlib>
#include <fstream>

#include "engine/text/utf8.h"

namespace baton::testing {
namespace {

std::string AnyCodePoints(SplitMix& random) {
  std::string out;
  for (uint64_t left = 1 + random.Below(40); left > 0; --left) {
    const auto code_point = static_cast<uint32_t>(random.Below(0x110000 - 0x800));
    AppendUtf8(code_point < 0xD800 ? code_point : code_point + 0x800, &out);
  }
  return out;
}

std::string RandomBytes(SplitMix& random) {
  std::string out;
  for (uint64_t left = random.Below(81); left > 0; --left)
    out.push_back(static_cast<char>(random.Below(256)));
  return ReplaceInvalidUtf8(out);
}

std::string Printable(SplitMix& random) {
  std::string out;
  for (uint64_t left = 1 + random.Below(80); left > 0; --left)
    out.push_back(static_cast<char>(32 + random.Below(95)));
  return out;
}

template <typename T>
void Put(std::string& out, T value) {
  out.append(reinterpret_cast<const char*>(&value), sizeof(value));
}

}  // namespace

std::string Unescape(std::string_view line) {
  std::string out;
  for (size_t i = 0; i < line.size(); ++i) {
    if (line[i] != '\\') {
      out.push_back(line[i]);
      continue;
    }
    switch (line[++i]) {
      case 'n':
        out.push_back('\n');
        break;
      case 'r':
        out.push_back('\r');
        break;
      case 't':
        out.push_back('\t');
        break;
      case 'x': {
        const size_t end = line.find('}', i);
        const std::string digits(line.substr(i + 2, end - i - 2));
        AppendUtf8(static_cast<uint32_t>(std::strtoul(digits.c_str(), nullptr, 16)), &out);
        i = end;
        break;
      }
      default:
        out.push_back(line[i]);
    }
  }
  return out;
}

uint64_t Fnv1a(std::string_view data, uint64_t hash) {
  for (const char byte : data) hash = (hash ^ static_cast<uint8_t>(byte)) * 0x100000001B3;
  return hash;
}

uint64_t SplitMix::Next() {
  state_ += 0x9E3779B97F4A7C15;
  uint64_t z = state_;
  z = (z ^ (z >> 30)) * 0xBF58476D1CE4E5B9;
  z = (z ^ (z >> 27)) * 0x94D049BB133111EB;
  return z ^ (z >> 31);
}

std::map<std::string, std::vector<std::string>> ReadSections(const std::string& path) {
  std::map<std::string, std::vector<std::string>> sections;
  std::ifstream in(path, std::ios::binary);
  std::vector<std::string>* section = nullptr;
  for (std::string line; std::getline(in, line);) {
    if (line.rfind("# ", 0) == 0) continue;
    if (line.size() > 2 && line[0] == '[' && line.back() == ']' && line[1] >= 'a' && line[1] <= 'z') {
      section = &sections[line.substr(1, line.size() - 2)];
    } else if (section != nullptr) {
      section->push_back(line);
    }
  }
  return sections;
}

StringSource::StringSource(const std::string& fragments_path) {
  sections_ = ReadSections(fragments_path);
  for (const std::string& line : sections_["ranges"]) {
    char* dash = nullptr;
    const auto first = static_cast<uint32_t>(std::strtoul(line.c_str(), &dash, 16));
    ranges_.emplace_back(first, static_cast<uint32_t>(std::strtoul(dash + 1, nullptr, 16)));
  }
  for (const char* name : {"words", "digits", "code", "space", "emoji", "special"}) {
    for (std::string& line : sections_[name]) {
      line = Unescape(line);
      all_.push_back(line);
    }
  }
}

const std::string& StringSource::Pick(SplitMix& random, Names names) const {
  const auto& section = sections_.at(names.begin()[random.Below(names.size())]);
  return section[random.Below(section.size())];
}

std::string StringSource::Join(SplitMix& random, int most, Names names) const {
  std::string out;
  for (uint64_t left = 1 + random.Below(static_cast<uint64_t>(most)); left > 0; --left)
    out += Pick(random, names);
  return out;
}

std::string StringSource::Script(SplitMix& random) const {
  const auto [first, last] = ranges_[random.Below(ranges_.size())];
  std::string out;
  for (uint64_t left = 1 + random.Below(50); left > 0; --left) {
    if (random.Below(7) == 0) {
      out.push_back(' ');
    } else {
      AppendUtf8(first + static_cast<uint32_t>(random.Below(last - first + 1)), &out);
    }
  }
  return out;
}

std::string StringSource::Make(int index) const {
  SplitMix random(static_cast<uint64_t>(index) * 0x2545F4914F6CDD1D + 1);
  std::string out;
  switch (index % 10) {
    case 0:
      for (uint64_t left = 1 + random.Below(30); left > 0; --left) out += all_[random.Below(all_.size())];
      return out;
    case 1:
      return Script(random);
    case 2:
      return AnyCodePoints(random);
    case 3:
      return RandomBytes(random);
    case 4: {
      const std::string& unit = Pick(random, {"words", "digits", "code", "space", "emoji"});
      for (uint64_t left = 1 + random.Below(120); left > 0; --left) out += unit;
      return out;
    }
    case 5:
      return Printable(random);
    case 6:
      return Join(random, 25, {"code", "words", "space", "code"});
    case 7:
      return Join(random, 30, {"space", "space", "words", "digits"});
    case 8:
      return Join(random, 25, {"digits", "words", "special"});
    default:
      return Join(random, 25, {"emoji", "emoji", "words", "space"});
  }
}

std::string CodePointString(uint32_t code_point) {
  std::string c;
  AppendUtf8(code_point, &c);
  return "a" + c + " " + c + c + "1" + c + "!" + c + "\n";
}

std::string PackIds(absl::Span<const TokenId> ids) {
  std::string out;
  Put(out, static_cast<uint32_t>(ids.size()));
  for (const TokenId id : ids) Put(out, id);
  return out;
}

std::string PackText(std::string_view text) {
  std::string out;
  Put(out, static_cast<uint32_t>(text.size()));
  return out.append(text);
}

std::string Hex(uint64_t hash) {
  char buffer[17];
  std::snprintf(buffer, sizeof(buffer), "%016llx", static_cast<unsigned long long>(hash));
  return buffer;
}

}  // namespace baton::testing
