#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include <filesystem>
#include <set>

#include "absl/strings/str_cat.h"
#include "tools/chaos/reference_key.h"
#include "tools/chaos/reference_run.h"
#include "tools/chaos/reference_store.h"
#include "tools/chaos/send_load.h"
#include "tools/ctl/files.h"

namespace baton::chaos {
namespace {

using ::testing::HasSubstr;

class ReferenceStoreTest : public ::testing::Test {
 protected:
  ReferenceStoreTest() {
    std::filesystem::remove_all(folder_);
    for (size_t i = 0; i < 3; ++i) {
      StreamRecord& stream = streams_.emplace_back();
      stream.index = i;
      stream.finish_reason = i == 1 ? "stop" : "length";
      stream.tokens.assign(i * 2, static_cast<int32_t>(7 + i));
    }
  }
  std::string Path(const std::string& key) const { return absl::StrCat(folder_, "/", key, ".reference"); }
  const std::string folder_ = testing::TempDir() + "/reference_store_test/references";
  const ReferenceStore store_{folder_};
  std::vector<StreamRecord> streams_;
};

TEST_F(ReferenceStoreTest, WhatIsKeptComesBack) {
  EXPECT_TRUE(absl::IsNotFound(store_.Load("k").status()));
  ASSERT_TRUE(store_.Keep("k", streams_).ok());
  const auto loaded = ReferenceStore(folder_).Load("k");
  ASSERT_TRUE(loaded.ok()) << loaded.status();
  ASSERT_EQ(loaded->size(), 3u);
  for (size_t i = 0; i < 3; ++i) {
    EXPECT_EQ((*loaded)[i].index, i);
    EXPECT_EQ((*loaded)[i].tokens, streams_[i].tokens);
    EXPECT_EQ((*loaded)[i].finish_reason, streams_[i].finish_reason);
    EXPECT_TRUE((*loaded)[i].Finished());
  }
}

TEST_F(ReferenceStoreTest, AnyDamageIsSeen) {
  ASSERT_TRUE(store_.Keep("k", streams_).ok());
  const std::string whole = *ctl::ReadFile(Path("k"));
  for (size_t at = 0; at < whole.size(); ++at) {
    std::string damaged = whole;
    damaged[at] ^= 1;
    ASSERT_TRUE(ctl::WriteFileAtomically(Path("k"), damaged).ok());
    EXPECT_TRUE(absl::IsDataLoss(store_.Load("k").status())) << at;
    ASSERT_TRUE(ctl::WriteFileAtomically(Path("k"), whole.substr(0, at)).ok());
    EXPECT_TRUE(absl::IsDataLoss(store_.Load("k").status())) << "cut at " << at;
  }
  EXPECT_THAT(store_.Load("k").status().message(), HasSubstr("k.reference"));
}

TEST_F(ReferenceStoreTest, AnothersFileIsNotTaken) {
  ASSERT_TRUE(store_.Keep("k", streams_).ok());
  std::filesystem::copy_file(Path("k"), Path("other"));
  EXPECT_TRUE(absl::IsDataLoss(store_.Load("other").status()));
}

TEST_F(ReferenceStoreTest, AHundredAreKept) {
  for (int i = 0; i < 103; ++i) ASSERT_TRUE(store_.Keep(absl::StrCat("k", i), streams_).ok());
  EXPECT_EQ(std::distance(std::filesystem::directory_iterator(folder_), {}), 100);
}

TEST_F(ReferenceStoreTest, WithoutAFolderNothingIsKept) {
  const ReferenceStore none("");
  EXPECT_TRUE(none.Keep("k", streams_).ok());
  EXPECT_TRUE(absl::IsNotFound(none.Load("k").status()));
}

std::string KeyOf(const std::string& more, const Origin& origin = {"m", "p", "a cpu"}) {
  const auto file =
      ParseScenario(absl::StrCat("name: x\nhypothesis: y\n",
                                 more.find("load:") == more.npos ? "load: {rate: 4}\n" : "", more),
                    false);
  EXPECT_TRUE(file.ok()) << file.status();
  const Scenario& scenario = file->variants.front();
  return ReferenceKey(origin, ReferenceScenario(scenario), *PlanLoad(scenario.load, scenario.load.rate));
}

TEST(ReferenceKeyTest, WhateverChangesTokensChangesIt) {
  const std::vector<std::string> keys = {
      KeyOf(""),
      KeyOf("load: {rate: 5}"),
      KeyOf("load: {rate: 4, seed: 2}"),
      KeyOf("load: {rate: 4, temperature: 1}"),
      KeyOf("load: {rate: 4, output_tokens: 33}"),
      KeyOf("load: {rate: 4, prompt_tokens: 65}"),
      KeyOf("load: {rate: 4, ignore_eos: false}"),
      KeyOf("load: {rate: 4, turns: 2}"),
      KeyOf("load: {rate: 4, shared_prefix_tokens: 16}"),
      KeyOf("cluster: {worker_flags: [--kv_dtype=bf16]}"),
      KeyOf("", {"another model", "p", "a cpu"}),
      KeyOf("", {"m", "another program", "a cpu"}),
      KeyOf("", {"m", "p", "another cpu"}),
  };
  EXPECT_EQ(std::set<std::string>(keys.begin(), keys.end()).size(), keys.size());
  EXPECT_EQ(keys[0].size(), 64u);
}

TEST(ReferenceKeyTest, WhatChangesNoTokenDoesNot) {
  for (const char* same :
       {"cluster: {prefill: 3, threads: 2}", "faults: [{at: 1s, kind: kill, target: decode-0}]",
        "load: {rate: 4, cancel_share: 0.5}", "checks: {errors_at_most: any}", "repeats: 3"})
    EXPECT_EQ(KeyOf(same), KeyOf("")) << same;
}

TEST(DigestTest, OfAFileIsOfItsBytes) {
  const std::string path = testing::TempDir() + "/digest_test";
  const std::string text(3 << 20, 'x');
  ASSERT_TRUE(ctl::WriteFileAtomically(path, text).ok());
  EXPECT_EQ(*DigestOfFile(path), DigestOf(text));
  // RFC 7693's function with 32 bytes, of "abc".
  EXPECT_EQ(DigestOf("abc"), "bddd813c634239723171ef3fee98579b94964e3bb1cb3e427262c8c068d52319");
  EXPECT_FALSE(DigestOfFile("/nowhere/x").ok());
}

}  // namespace
}  // namespace baton::chaos
