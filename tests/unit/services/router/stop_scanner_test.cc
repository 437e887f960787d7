#include "services/router/openai/stop_scanner.h"

#include <gtest/gtest.h>

namespace baton::router {
namespace {

// Feeds `text` in pieces of `step` bytes; what came out before a match or in all.
std::string Scan(const std::vector<std::string>& stops, const std::string& text, size_t step, bool* stopped) {
  StopScanner scanner(stops);
  std::string out;
  for (size_t at = 0; at < text.size(); at += step) out += scanner.Append(text.substr(at, step));
  *stopped = scanner.stopped();
  if (!scanner.stopped()) out += scanner.Flush();
  return out;
}

TEST(StopScanner, TheCutDoesNotDependOnThePieces) {
  struct Case {
    std::vector<std::string> stops;
    std::string text, out;
    bool stopped;
  };
  const Case cases[] = {
      {{}, "plain", "plain", false},          {{"END"}, "abcENDdef", "abc", true},
      {{"END"}, "abcEN", "abcEN", false},     {{"aab"}, "aaaab", "aa", true},
      {{"abab", "bc"}, "xababc", "x", true},  {{"abcd", "c"}, "xabcd", "xab", true},
      {{"c", "bc"}, "xabc", "xa", true},      {{"\n\n"}, "one\ntwo\n\nthree", "one\ntwo", true},
      {{"世"}, "hello 世界", "hello ", true}, {{"x"}, "x", "", true}};
  for (const Case& one : cases) {
    for (size_t step = 1; step <= one.text.size(); ++step) {
      bool stopped = false;
      EXPECT_EQ(Scan(one.stops, one.text, step, &stopped), one.out) << one.text << " by " << step;
      EXPECT_EQ(stopped, one.stopped);
    }
  }
}

TEST(StopScanner, HoldsBackOnlyWhatMayBeAStop) {
  StopScanner scanner({"STOP"});
  EXPECT_EQ(scanner.Append("abS"), "ab");
  EXPECT_TRUE(scanner.holding());
  EXPECT_EQ(scanner.Append("x"), "Sx");
  EXPECT_FALSE(scanner.holding());
  EXPECT_EQ(scanner.Append("STO"), "");
  EXPECT_EQ(scanner.Append("STOP"), "STO");
  EXPECT_TRUE(scanner.stopped());
  EXPECT_EQ(scanner.Append("more"), "");
  EXPECT_EQ(scanner.Flush(), "");
}

}  // namespace
}  // namespace baton::router
