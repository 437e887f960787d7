#include "tests/tidy/functions.h"

#include <gmock/gmock.h>
#include <gtest/gtest.h>

namespace baton::tidy {
namespace {

using ::testing::ElementsAre;
using ::testing::IsEmpty;

std::vector<std::string> Found(const std::string& path, const std::string& text) {
  std::vector<std::string> found;
  for (const Function& f : FindFunctions(MakeFile(path, text))) {
    found.push_back(f.name + " " + std::to_string(f.line) + "+" + std::to_string(f.length));
  }
  return found;
}

TEST(FunctionsTest, FreeFunctionsMethodsAndTests) {
  EXPECT_THAT(
      Found("a.cc", "namespace a {\nint F(int x) {\n  if (x) {\n  }\n  return 1;\n}\n}  // namespace\n"),
      ElementsAre("F 2+5"));
  EXPECT_THAT(Found("a.h",
                    "class C : public B {\n public:\n  int G() const override { return g_; }\n private:\n  "
                    "int g_ = 0;\n};\n"),
              ElementsAre("G 3+1"));
  EXPECT_THAT(Found("a.cc", "TEST(A, B) {\n  x();\n}\nTEST_F(C, D) {}\n"),
              ElementsAre("TEST 1+3", "TEST_F 4+1"));
  EXPECT_THAT(Found("a.cc", "template <typename T>\nauto H(T t)\n    -> int {\n}\n"), ElementsAre("H 1+4"));
}

TEST(FunctionsTest, LambdasCountIntoTheirFunction) {
  EXPECT_THAT(Found("a.cc", "void F() {\n  auto g = [&](int x) {\n    return x;\n  };\n}\n"),
              ElementsAre("F 1+5"));
}

TEST(FunctionsTest, ConstructorsWithInitialiserLists) {
  EXPECT_THAT(
      Found("a.cc", "C::C(int a)\n    : a_(a), b_{1, 2}, c_{3} {\n  x();\n}\nint F() { return 1; }\n"),
      ElementsAre("C::C 1+4", "F 5+1"));
}

TEST(FunctionsTest, DataIsNoFunction) {
  EXPECT_THAT(Found("a.cc",
                    "const int kA[] = {1, 2};\nstd::map<int, int> m{{1, f(2)}};\nenum class E { kA "
                    "};\nstruct S {\n int x = 0;\n};\n"),
              IsEmpty());
  EXPECT_THAT(Found("a.cc", "const auto kF = [](int x) {\n  return x;\n};\nint G() {\n}\n"),
              ElementsAre("G 4+2"));
}

TEST(FunctionsTest, MacrosAndOperators) {
  EXPECT_THAT(Found("a.h",
                    "#define X(y) \\\n  do {         \\\n  } while (0)\nbool operator==(const A& a) { return "
                    "true; }\n"),
              ElementsAre("operator== 4+1"));
  EXPECT_THAT(Found("a.h", "class C {\n  C& operator=(const C& c) { return *this; }\n};\n"),
              ElementsAre("operator= 2+1"));
}

TEST(FunctionsTest, Python) {
  EXPECT_THAT(Found("a.py",
                    "def f(a,\n      b):\n    x()\n\n    y()\n\n\nclass C:\n    def g(self):\n        def "
                    "h():\n            pass\n        return h\n\nz = 1\n"),
              ElementsAre("f 1+5", "g 9+4"));
}

}  // namespace
}  // namespace baton::tidy
