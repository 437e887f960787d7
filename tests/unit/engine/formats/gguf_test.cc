#include "engine/formats/gguf.h"

#include <unistd.h>

#include <cstdlib>
#include <cstring>
#include <filesystem>

#include "gmock/gmock.h"
#include "gtest/gtest.h"
#include "tests/support/gguf_writer.h"

namespace baton {
namespace {

using ::testing::ElementsAre;
using testing::GgufWriter;
using ::testing::HasSubstr;
using ::testing::TestWithParam;
using ::testing::Values;

GgufWriter Small(uint32_t version = 3) {
  GgufWriter writer(version);
  writer.AddString("general.architecture", "llama")
      .AddUint32("layers", 30)
      .AddInt32("minus", -4)
      .AddUint64("huge", ~uint64_t{0})
      .AddFloat("eps", 0.5f)
      .AddBool("flag", true)
      .AddStrings("words", {"a", "", "ccc"})
      .AddInts("types", {1, -2, 3})
      .AddFloats("scores", {0.25f, -1.0f})
      .AddF32("norm", {3}, {1.0f, 2.0f, 3.0f})
      .AddTensor("matrix", GgmlType::kQ4_1, {64, 2}, std::string(80, '\x11'));
  return writer;
}

absl::Status ParseError(const GgufWriter& writer) {
  return GgufFile::FromBytes(writer.Bytes()).status();
}

class GgufVersions : public TestWithParam<uint32_t> {};

TEST_P(GgufVersions, ReadsEveryKindOfValue) {
  const auto file = GgufFile::FromBytes(Small(GetParam()).Bytes());
  ASSERT_TRUE(file.ok()) << file.status();
  EXPECT_EQ(*(*file)->GetString("general.architecture"), "llama");
  EXPECT_EQ(*(*file)->GetInt("layers"), 30);
  EXPECT_EQ(*(*file)->GetInt("minus"), -4);
  EXPECT_EQ(*(*file)->GetFloat("eps"), 0.5);
  EXPECT_TRUE(*(*file)->GetBool("flag"));
  EXPECT_THAT(*(*file)->GetStrings("words"), ElementsAre("a", "", "ccc"));
  EXPECT_THAT(*(*file)->GetInts("types"), ElementsAre(1, -2, 3));
  EXPECT_THAT(*(*file)->GetFloats("scores"), ElementsAre(0.25f, -1.0f));
  EXPECT_TRUE((*file)->Has("eps"));
  EXPECT_FALSE((*file)->Has("nothing"));
}

INSTANTIATE_TEST_SUITE_P(All, GgufVersions, Values(2u, 3u));

TEST(Gguf, ErrorsOfTheGetters) {
  const auto file = GgufFile::FromBytes(Small().Bytes());
  ASSERT_TRUE(file.ok()) << file.status();
  EXPECT_EQ((*file)->GetInt("nothing").status().code(), absl::StatusCode::kNotFound);
  EXPECT_EQ((*file)->GetInt("eps").status().code(), absl::StatusCode::kInvalidArgument);
  EXPECT_EQ((*file)->GetInt("huge").status().code(), absl::StatusCode::kInvalidArgument);
  EXPECT_EQ((*file)->GetFloat("layers").status().code(), absl::StatusCode::kInvalidArgument);
  EXPECT_EQ((*file)->GetString("words").status().code(), absl::StatusCode::kInvalidArgument);
  EXPECT_EQ((*file)->GetStrings("types").status().code(), absl::StatusCode::kInvalidArgument);
  EXPECT_EQ((*file)->GetInts("scores").status().code(), absl::StatusCode::kInvalidArgument);
  EXPECT_EQ((*file)->GetInts("layers").status().code(), absl::StatusCode::kInvalidArgument);
  EXPECT_EQ((*file)->Tensor("nothing").status().code(), absl::StatusCode::kNotFound);
}

TEST(Gguf, TensorsViewTheirBytes) {
  const auto file = GgufFile::FromBytes(Small().Bytes());
  ASSERT_TRUE(file.ok()) << file.status();
  ASSERT_EQ((*file)->tensors().size(), 2u);
  const GgufTensor* norm = *(*file)->Tensor("norm");
  EXPECT_EQ(norm->type, GgmlType::kF32);
  EXPECT_THAT(norm->dims, ElementsAre(3));
  float values[3];
  ASSERT_EQ(norm->data.size(), sizeof(values));
  std::memcpy(values, norm->data.data(), sizeof(values));
  EXPECT_THAT(values, ElementsAre(1.0f, 2.0f, 3.0f));
  const GgufTensor* matrix = *(*file)->Tensor("matrix");
  EXPECT_THAT(matrix->dims, ElementsAre(64, 2));
  EXPECT_EQ(matrix->data.size(), 80u);
  EXPECT_EQ(static_cast<int>(matrix->data.back()), 0x11);
}

TEST(Gguf, OpensFromDiskAndNamesThePathInErrors) {
  const std::string path =
      (std::filesystem::temp_directory_path() / ("baton_gguf_test_" + std::to_string(::getpid()))).string();
  Small().WriteTo(path);
  const auto file = GgufFile::Open(path);
  std::filesystem::resize_file(path, 0);
  EXPECT_THAT(GgufFile::Open(path).status().message(), HasSubstr(path));
  std::filesystem::remove(path);
  EXPECT_TRUE(file.ok()) << file.status();
  EXPECT_EQ(GgufFile::Open(path).status().code(), absl::StatusCode::kNotFound);
  EXPECT_EQ(GgufFile::Open("/").status().code(), absl::StatusCode::kInvalidArgument);
}

TEST(Gguf, HonoursTheAlignmentKey) {
  GgufWriter writer(3, 64);
  writer.AddUint32("general.alignment", 64).AddF32("a", {1}, {7.0f}).AddF32("b", {1}, {8.0f});
  const auto file = GgufFile::FromBytes(writer.Bytes());
  ASSERT_TRUE(file.ok()) << file.status();
  float value = 0;
  std::memcpy(&value, (*(*file)->Tensor("b"))->data.data(), sizeof(value));
  EXPECT_EQ(value, 8.0f);
  for (const uint32_t bad : {0u, 1u, 48u, 1u << 20}) {
    EXPECT_THAT(ParseError(GgufWriter().AddUint32("general.alignment", bad)).message(),
                HasSubstr("alignment"));
  }
  EXPECT_FALSE(ParseError(GgufWriter().AddString("general.alignment", "32")).ok());
}

TEST(Gguf, TypesKnowTheirBlocks) {
  EXPECT_EQ(GgmlBlockBytes(GgmlType::kQ4_0), 18u);
  EXPECT_EQ(GgmlBlockBytes(GgmlType::kQ4_1), 20u);
  EXPECT_EQ(GgmlBlockBytes(GgmlType::kQ8_0), 34u);
  EXPECT_EQ(GgmlBlockElements(GgmlType::kQ8_0), 32);
  EXPECT_EQ(GgmlBlockElements(GgmlType::kBF16), 1);
  EXPECT_EQ(GgmlTypeName(GgmlType::kBF16), "BF16");
}

TEST(Gguf, RealModelOpens) {
  const char* path = std::getenv("BATON_TEST_MODEL");
  if (path == nullptr) GTEST_SKIP() << "BATON_TEST_MODEL is not set";
  const auto file = GgufFile::Open(path);
  ASSERT_TRUE(file.ok()) << file.status();
  EXPECT_FALSE((*file)->tensors().empty());
  EXPECT_TRUE((*file)->GetStrings("tokenizer.ggml.tokens").ok());
}

}  // namespace
}  // namespace baton
