#include "tools/load/run_record.h"

#include <filesystem>

#include "absl/strings/str_cat.h"
#include "gmock/gmock.h"
#include "gtest/gtest.h"

namespace baton::load {
namespace {

using ::testing::HasSubstr;

RunRecord Sample() {
  RunRecord record;
  record.name = "kill \"decode\"\n";
  record.started = "2026-11-23T01:20:00Z";
  record.config = {{"rate", "4"}};
  record.versions = {{"baton", "0.1.0"}};
  record.valid = false;
  record.invalid_why = "late";
  record.held = false;
  record.rows = {{"ttft", 1.5, "ms", "aiperf", 1.25, std::nullopt, 0.9}};
  record.checks = {{"tokens", true, "500 of 500"}};
  RunResult run;
  run.label = "split";
  run.rate = 4;
  run.repeat = 2;
  run.duration_s = 60;
  run.summary.requests = 240;
  run.summary.errors = {{"429", 3}};
  run.summary.slo = {{"ttft_ms", 500}};
  run.summary.good_share = 0.875;
  run.summary.spreads["ttft_ms"] = {240, 12.25, 10, 20, 25, std::nullopt, std::nullopt, 31};
  run.summary.tenants["a"].requests = 100;
  run.summary.tenants["a"].spreads["itl_ms"].count = 7;
  run.histograms["ttft_ms"] = {{1.5, 3}, {2, 4}};
  run.timeline.bin_s = 0.5;
  run.timeline.series["running"] = {1, std::nullopt, 3};
  run.marks = {{12.5, "kill -9", "decode-1"}};
  record.runs.push_back(run);
  return record;
}

TEST(RunRecord, ComesBackAsItWasWritten) {
  const std::string text = ToJson(Sample());
  const auto back = ParseRunRecord(text);
  ASSERT_TRUE(back.ok()) << back.status();
  EXPECT_EQ(ToJson(*back), text);
  EXPECT_EQ(back->name, "kill \"decode\"\n");
  EXPECT_EQ(back->held, false);
  EXPECT_EQ(back->expected, std::nullopt);
  ASSERT_EQ(back->runs.size(), 1u);
  const RunResult& run = back->runs[0];
  EXPECT_EQ(run.repeat, 2);
  EXPECT_EQ(run.summary.spreads.at("ttft_ms").p95, 25);
  EXPECT_EQ(run.summary.spreads.at("ttft_ms").p99, std::nullopt);
  EXPECT_EQ(run.summary.spreads.size(), 1u);
  EXPECT_EQ(run.summary.tenants.at("a").spreads.at("itl_ms").count, 7);
  EXPECT_EQ(run.histograms.at("ttft_ms")[1].count, 4);
  EXPECT_EQ(run.timeline.series.at("running")[1], std::nullopt);
  EXPECT_EQ(run.marks[0].what, "decode-1");
}

TEST(RunRecord, WrongMembersAreNamed) {
  const std::pair<const char*, const char*> cases[] = {
      {R"([])", "an object"},
      {R"({"name":"x"})", "format"},
      {R"({"format":"baton-run-2"})", "baton-run-1"},
      {R"({"format":"baton-run-1","name":1})", "name: must be a text"},
      {R"({"format":"baton-run-1","valid":"yes"})", "valid"},
      {R"({"format":"baton-run-1","runs":[{"summary":{"ttft_ms":{"p50":"x"}}}]})",
       "runs[0].summary.ttft_ms.p50"},
      {R"({"format":"baton-run-1","runs":[{"histograms":{"ttft_ms":[[1]]}}]})", "histograms.ttft_ms[0]"},
      {R"({"format":"baton-run-1","runs":[{"summary":{"requests":-1}}]})", "requests"},
      {R"({"format":"baton-run-1","runs":[7]})", "runs[0]"},
      {"{\"format\":", "not JSON"},
  };
  for (const auto& [text, message] : cases) {
    const auto record = ParseRunRecord(text);
    EXPECT_EQ(record.status().code(), absl::StatusCode::kInvalidArgument) << text;
    EXPECT_THAT(std::string(record.status().message()), HasSubstr(message)) << text;
  }
}

TEST(RunRecord, AbsentAndUnknownMembersAreAllowed) {
  const auto record = ParseRunRecord(R"({"format":"baton-run-1","later":[1,2],"runs":[{}]})");
  ASSERT_TRUE(record.ok()) << record.status();
  EXPECT_TRUE(record->valid);
  EXPECT_EQ(record->runs.size(), 1u);
}

TEST(RunRecord, FilesAreNamedInErrors) {
  const std::string folder = testing::TempDir();
  const std::string path = absl::StrCat(folder, "/record_", ::getpid(), ".json");
  EXPECT_EQ(ReadRunRecord(path).status().code(), absl::StatusCode::kNotFound);
  ASSERT_TRUE(WriteRunRecord(path, Sample()).ok());
  EXPECT_TRUE(ReadRunRecord(path).ok());
  std::filesystem::resize_file(path, 20);
  EXPECT_THAT(std::string(ReadRunRecord(path).status().message()), HasSubstr(path));
  std::filesystem::remove(path);
}

}  // namespace
}  // namespace baton::load
