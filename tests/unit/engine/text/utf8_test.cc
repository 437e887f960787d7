#include "engine/text/utf8.h"

#include "engine/text/byte_alphabet.h"
#include "gtest/gtest.h"

namespace baton {
namespace {

TEST(Utf8, RoundTripsEveryScalarValue) {
  for (uint32_t c = 0; c < 0x110000; ++c) {
    if (c >= 0xD800 && c < 0xE000) continue;
    std::string text;
    AppendUtf8(c, &text);
    const Utf8Step step = NextUtf8(text);
    ASSERT_EQ(step.kind, Utf8Kind::kValid) << c;
    ASSERT_EQ(step.length, text.size());
    ASSERT_EQ(step.code_point, c);
    for (size_t cut = 1; cut < text.size(); ++cut) {
      ASSERT_EQ(NextUtf8(absl::string_view(text).substr(0, cut)).kind, Utf8Kind::kIncomplete) << c;
    }
  }
}

TEST(Utf8, RefusesWhatTheStandardRefuses) {
  for (const char* bad : {"\x80", "\xC0\x80", "\xC1\xBF", "\xE0\x80\x80", "\xED\xA0\x80", "\xF0\x80\x80\x80",
                          "\xF4\x90\x80\x80", "\xF5", "\xFF", "\xC3(", "\xE2\x82("}) {
    EXPECT_FALSE(IsValidUtf8(bad));
    EXPECT_EQ(NextUtf8(bad).kind, Utf8Kind::kInvalid);
  }
  EXPECT_TRUE(IsValidUtf8(""));
}

TEST(Utf8, ReplacesMaximalSubparts) {
  // The Unicode standard's own example (section 3.9, table 3-8).
  EXPECT_EQ(ReplaceInvalidUtf8("a\xF1\x80\x80\xE1\x80\xC2"
                               "b\x80"
                               "c\x80\xBF"
                               "d"),
            "a\xEF\xBF\xBD\xEF\xBF\xBD\xEF\xBF\xBD"
            "b\xEF\xBF\xBD"
            "c\xEF\xBF\xBD\xEF\xBF\xBD"
            "d");
  EXPECT_EQ(ReplaceInvalidUtf8("x\xE2\x82"), "x\xEF\xBF\xBD");
}

TEST(ByteAlphabet, IsABijectionOfBytes) {
  std::string all;
  for (int byte = 0; byte < 256; ++byte) all.push_back(static_cast<char>(byte));
  EXPECT_EQ(AlphabetToBytes(BytesToAlphabet(all)), all);
  EXPECT_EQ(BytesToAlphabet(" \n\xFF"), "\xC4\xA0\xC4\x8A\xC3\xBF");
  EXPECT_EQ(AlphabetToBytes("\xE4\xB8\xAD"), std::nullopt);
  EXPECT_EQ(AlphabetToBytes("\xC4"), std::nullopt);
  EXPECT_EQ(AlphabetToBytes(" "), std::nullopt);
}

}  // namespace
}  // namespace baton
