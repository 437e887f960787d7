#include "engine/text/byte_alphabet.h"

#include <array>
#include <cstdint>

#include "engine/text/utf8.h"

namespace baton {
namespace {

constexpr uint32_t kShiftedBegin = 0x100;
constexpr int kShiftedCount = 68;

constexpr bool StandsForItself(int byte) {
  return (byte >= 0x21 && byte <= 0x7E) || (byte >= 0xA1 && byte <= 0xAC) || (byte >= 0xAE && byte <= 0xFF);
}

struct Alphabet {
  std::array<uint32_t, 256> to_code_point{};
  std::array<uint8_t, kShiftedCount> shifted{};
};

constexpr Alphabet MakeAlphabet() {
  Alphabet alphabet;
  uint32_t next = 0;
  for (int byte = 0; byte < 256; ++byte) {
    if (StandsForItself(byte)) {
      alphabet.to_code_point[byte] = static_cast<uint32_t>(byte);
    } else {
      alphabet.shifted[next] = static_cast<uint8_t>(byte);
      alphabet.to_code_point[byte] = kShiftedBegin + next++;
    }
  }
  return alphabet;
}

constexpr Alphabet kAlphabet = MakeAlphabet();

}  // namespace

std::optional<std::string> AlphabetToBytes(absl::string_view text) {
  std::string bytes;
  bytes.reserve(text.size());
  while (!text.empty()) {
    const Utf8Step step = NextUtf8(text);
    if (step.kind != Utf8Kind::kValid) return std::nullopt;
    const uint32_t code_point = step.code_point;
    if (code_point >= kShiftedBegin && code_point < kShiftedBegin + kShiftedCount) {
      bytes.push_back(static_cast<char>(kAlphabet.shifted[code_point - kShiftedBegin]));
    } else if (code_point < kShiftedBegin && StandsForItself(static_cast<int>(code_point))) {
      bytes.push_back(static_cast<char>(code_point));
    } else {
      return std::nullopt;
    }
    text.remove_prefix(step.length);
  }
  return bytes;
}

std::string BytesToAlphabet(absl::string_view bytes) {
  std::string text;
  for (const char byte : bytes) AppendUtf8(kAlphabet.to_code_point[static_cast<uint8_t>(byte)], &text);
  return text;
}

}  // namespace baton
