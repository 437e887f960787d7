// The tidy rules themselves, on planted violations.

#include "tests/tidy/rules.h"

#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include "tests/tidy/allow_list.h"
#include "tests/tidy/blank.h"
#include "tests/tidy/layering.h"

namespace baton::tidy {
namespace {

using ::testing::ElementsAre;
using ::testing::IsEmpty;

std::vector<std::string> Names(const std::vector<Violation>& violations) {
  std::vector<std::string> names;
  for (const Violation& v : violations) names.push_back(v.rule + ":" + std::to_string(v.line));
  return names;
}

std::vector<std::string> Banned(const std::string& path, const std::string& text) {
  return Names(CheckBannedCode(MakeFile(path, text)));
}

TEST(BlankTest, KeepsOffsetsAndForgetsWords) {
  EXPECT_EQ(BlankCommentsAndLiterals("a /* b\nc */ d // e\nf"), "a     \n     d     \nf");
  EXPECT_EQ(BlankCommentsAndLiterals(R"(x("a\"b", 'c', '\'') + 1'000)"), R"(x("    ", ' ', '  ') + 1'000)");
  EXPECT_EQ(BlankCommentsAndLiterals("y(R\"z(\"q)\" )z\") w"), "y(R\"         \") w");
  EXPECT_EQ(BlankCommentsAndLiterals("\"unfinished"), "\"          ");
}

TEST(BannedTest, FindsCallsInCodeOnly) {
  EXPECT_THAT(Banned("common/a.cc", "x;\nstd::this_thread::sleep_for(y);\n"), ElementsAre("sleep:2"));
  EXPECT_THAT(Banned("common/a.cc", "// sleep_for(y)\nauto s = \"throw\";\n"), IsEmpty());
  EXPECT_THAT(Banned("tests/unit/a_test.cc", "usleep(3);"), ElementsAre("sleep:1"));
  EXPECT_THAT(Banned("common/a.cc", "throw 1; volatile int v; exit(1); std::abort(); rand();"),
              ElementsAre("volatile:1", "exit:1", "exit:1", "throw:1", "random:1"));
  EXPECT_THAT(Banned("common/a.cc", "room.exit(1); operand(2); on_exit(); rethrow_it();"), IsEmpty());
}

TEST(BannedTest, KnowsWhoMay) {
  EXPECT_THAT(Banned("services/router/main.cc", "absl::GetFlag(FLAGS_x); exit(1); printf(\"\");"), IsEmpty());
  EXPECT_THAT(Banned("services/router/a.cc", "absl::GetFlag(FLAGS_x); printf(\"\");"),
              ElementsAre("settings:1", "print:1"));
  EXPECT_THAT(Banned("tools/ctl/a.cc", "printf(\"\");"), IsEmpty());
  EXPECT_THAT(Banned("tests/unit/a_test.cc", "getenv(\"X\");"), IsEmpty());
  EXPECT_THAT(Banned("services/router/policy/a.cc", "SteadyClock c; absl::Mutex m;"),
              ElementsAre("clock:1", "thread:1"));
  EXPECT_THAT(Banned("services/router/registry.cc", "SteadyClock c; absl::Mutex m;"), IsEmpty());
  EXPECT_THAT(Banned("common/a.h", "using namespace std;"), ElementsAre("using-namespace:1"));
}

TEST(TextTest, FindsUnfinishedWorkPathsAndSpaces) {
  const auto check = [](const std::string& text) { return Names(CheckText(MakeFile("docs/a.md", text))); };
  EXPECT_THAT(check(std::string("ok\n// TO") + "DO: later\n"), ElementsAre("unfinished:2"));
  EXPECT_THAT(check(std::string("good enough for no") + "w\n"), ElementsAre("unfinished:1"));
  EXPECT_THAT(check(std::string("see /tm") + "p/x\nand \"/roo" + "t\"\n"),
              ElementsAre("machine-path:1", "machine-path:2"));
  EXPECT_THAT(check(std::string("tests/unit/wor") + "k/x and a/roo" + "t are fine\n"), IsEmpty());
  EXPECT_THAT(check("a \nb\t\nc\n"), ElementsAre("trailing-space:1", "trailing-space:2"));
  EXPECT_THAT(check("no end"), ElementsAre("trailing-space:1"));
}

TEST(ShapeTest, LengthsAndPragma) {
  const auto check = [](const std::string& path, const std::string& text) {
    return Names(CheckShape(MakeFile(path, text)));
  };
  const auto lines = [](int n) {
    std::string text;
    for (int i = 0; i < n; ++i) text += "  x();\n";
    return text;
  };
  EXPECT_THAT(check("common/a.h", "int x;\n"), ElementsAre("pragma-once:1"));
  EXPECT_THAT(check("common/a.cc", lines(kMostFileLines)), IsEmpty());
  EXPECT_THAT(check("common/a.cc", lines(kMostFileLines + 1)), ElementsAre("file-length:0"));
  EXPECT_THAT(check("common/a.cc", "void F() {\n" + lines(kMostFunctionLines - 2) + "}\n"), IsEmpty());
  EXPECT_THAT(check("common/a.cc", "\nvoid F() {\n" + lines(kMostFunctionLines - 1) + "}\n"),
              ElementsAre("function-length:2"));
  EXPECT_THAT(check("engine/kernels/a.cc", "void F() {\n" + lines(kMostFunctionLines) + "}\n"), IsEmpty());
}

TEST(LayeringTest, TheTableIsKept) {
  const auto check = [](const std::string& path, const std::string& include) {
    return !CheckLayering({MakeFile(path, "#include \"" + include + "\"\n")}).empty();
  };
  EXPECT_FALSE(check("engine/text/a.cc", "engine/formats/gguf.h"));
  EXPECT_TRUE(check("engine/formats/a.cc", "engine/text/tokenizer.h"));
  EXPECT_TRUE(check("common/a.cc", "engine/types.h"));
  EXPECT_TRUE(check("services/router/a.cc", "engine/cache/page_pool.h"));
  EXPECT_TRUE(check("services/prefill/a.cc", "services/decode/service.h"));
  EXPECT_FALSE(check("services/prefill/main.cc", "engine/model/llama.h"));
  EXPECT_FALSE(check("services/router/a.cc", "baton/worker.grpc.pb.h"));
  EXPECT_TRUE(check("engine/engine_core.cc", "baton/worker.grpc.pb.h"));
  EXPECT_TRUE(check("engine/engine.cc", "grpcpp/grpcpp.h"));
  EXPECT_TRUE(check("services/kv_transfer/transport/a.cc", "services/kv_transfer/handoff/owner.h"));
  EXPECT_TRUE(check("common/a.cc", "tests/support/x.h"));
  EXPECT_FALSE(check("tests/unit/a_test.cc", "services/decode/service.h"));
}

TEST(LayeringTest, CirclesAreFound) {
  const SourceFile a = MakeFile("common/a.h", "#include \"common/b.h\"\n");
  const SourceFile b = MakeFile("common/b.h", "#include \"common/c.h\"\n");
  const SourceFile open = MakeFile("common/c.h", "");
  const SourceFile closed = MakeFile("common/c.h", "\n#include \"common/a.h\"\n");
  EXPECT_THAT(CheckCycles({a, b, open}), IsEmpty());
  EXPECT_THAT(Names(CheckCycles({a, b, closed})), ElementsAre("cycle:2"));
}

TEST(BuiltTest, ASourceThatNobodyBuilds) {
  const SourceFile list = MakeFile("common/CMakeLists.txt", "baton_library(x SRCS a.cc sub/c.cc)\n");
  const auto names = [&](const std::string& path) { return Names(CheckBuilt({list, MakeFile(path, "")})); };
  EXPECT_THAT(names("common/a.cc"), IsEmpty());
  EXPECT_THAT(names("common/sub/c.cc"), IsEmpty());
  EXPECT_THAT(names("common/b.cc"), ElementsAre("not-built:0"));
}

TEST(AllowListTest, AllowsWhatItNamesAndComplainsOfTheRest) {
  AllowList list = AllowList::Parse(
      "allow.txt", "# why\nsleep common/a.cc it must\nthrow tools/ a library wants it\nprint x.cc\n");
  EXPECT_TRUE(list.Allows({"sleep", "common/a.cc", 1, ""}));
  EXPECT_FALSE(list.Allows({"sleep", "common/b.cc", 1, ""}));
  EXPECT_FALSE(list.Allows({"throw", "common/a.cc", 1, ""}));
  EXPECT_TRUE(list.Allows({"throw", "tools/deep/a.cc", 1, ""}));
  EXPECT_THAT(Names(list.Complaints()), ElementsAre("allow-list:4", "allow-list:4"));
}

}  // namespace
}  // namespace baton::tidy
