#pragma once

// The reference strings of the tokenizer goldens: the same pure function of (fragments file, index) as
// tests/scripts/text/strings.py.

#include <cstdint>
#include <initializer_list>
#include <map>
#include <string>
#include <string_view>
#include <utility>
#include <vector>

#include "absl/types/span.h"
#include "common/ids.h"

namespace baton::testing {

inline constexpr int kReferenceStrings = 20000;
inline constexpr uint64_t kFnvStart = 0xCBF29CE484222325;

uint64_t Fnv1a(std::string_view data, uint64_t hash = kFnvStart);

// SplitMix64.
class SplitMix {
 public:
  explicit SplitMix(uint64_t seed) : state_(seed) {}
  uint64_t Next();
  uint64_t Below(uint64_t n) { return Next() % n; }

 private:
  uint64_t state_;
};

class StringSource {
 public:
  explicit StringSource(const std::string& fragments_path);
  std::string Make(int index) const;

 private:
  using Names = std::initializer_list<const char*>;
  const std::string& Pick(SplitMix& random, Names names) const;
  std::string Join(SplitMix& random, int most, Names names) const;
  std::string Script(SplitMix& random) const;

  std::map<std::string, std::vector<std::string>> sections_;
  std::vector<std::string> all_;
  std::vector<std::pair<uint32_t, uint32_t>> ranges_;
};

// Whether the golden encodes this string with the special tokens known.
inline bool KnowsSpecials(int index) {
  return index / 10 % 2 == 1;
}

std::string CodePointString(uint32_t code_point);

std::string PackIds(absl::Span<const TokenId> ids);
std::string PackText(std::string_view text);

// Lines of a golden file by section name.
std::map<std::string, std::vector<std::string>> ReadSections(const std::string& path);

// Undoes \n, \t, \r, \\ and \x{HEX}.
std::string Unescape(std::string_view line);

std::string Hex(uint64_t hash);

}  // namespace baton::testing
