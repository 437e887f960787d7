#include "services/worker/worker_settings.h"

#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include <functional>

namespace baton {
namespace {

WorkerSettings Good() {
  WorkerSettings settings;
  settings.model = "folder/tiny.gguf";
  return settings;
}

TEST(WorkerSettings, BecomeAPlan) {
  WorkerSettings settings = Good();
  settings.page_tokens = 64;
  settings.kv_dtype = "f32";
  settings.pages = 5;
  auto plan = PlanWorker(WorkerRole::kDecode, settings);
  ASSERT_TRUE(plan.ok()) << plan.status();
  EXPECT_EQ(plan->process, "baton-decode");
  EXPECT_EQ(plan->worker.model, "tiny");
  EXPECT_THAT(plan->worker.name, testing::StartsWith("decode-"));
  EXPECT_EQ(plan->model.atoms_per_page, 4);
  EXPECT_EQ(plan->model.kv_dtype, KvDtype::kF32);
  EXPECT_EQ(plan->wire.curve_public_key.size(), 32u);
  EXPECT_EQ(plan->kv_wire, WireChoice::kAuto);
  EXPECT_FALSE(plan->worker.handoff.inexact);
  settings.accept_inexact_kv = true;
  EXPECT_TRUE(PlanWorker(WorkerRole::kDecode, settings)->worker.handoff.inexact);
  EXPECT_TRUE(PlanPages(settings, &*plan).ok());
  EXPECT_EQ(plan->model.page_count, 5);
}

TEST(WorkerSettings, EachHasBounds) {
  const std::vector<std::function<void(WorkerSettings&)>> faults = {
      [](auto& s) { s.model = ""; },        [](auto& s) { s.grpc_listen = "x"; },
      [](auto& s) { s.http_listen = ""; },  [](auto& s) { s.name = "a b\""; },
      [](auto& s) { s.kv_dtype = "f8"; },   [](auto& s) { s.ranks = 0; },
      [](auto& s) { s.kv_wire = "rdma"; },  [](auto& s) { s.kv_min_gbps = -1; },
      [](auto& s) { s.threads = 0; },       [](auto& s) { s.kv_memory_mb = 0; },
      [](auto& s) { s.pages = -1; },        [](auto& s) { s.page_tokens = 20; },
      [](auto& s) { s.page_tokens = 0; },   [](auto& s) { s.token_budget = 0; },
      [](auto& s) { s.prefill_chunk = 0; }, [](auto& s) { s.max_running = 0; },
      [](auto& s) { s.layer_group = 0; },   [](auto& s) { s.emission_buffer = 0; },
  };
  for (size_t i = 0; i < faults.size(); ++i) {
    WorkerSettings settings = Good();
    faults[i](settings);
    EXPECT_TRUE(absl::IsInvalidArgument(PlanWorker(WorkerRole::kPrefill, settings).status()))
        << "fault " << i;
  }
}

TEST(WorkerSettings, AWildcardNeedsAHostToAdvertise) {
  const std::vector<std::function<void(WorkerSettings&)>> wildcards = {
      [](auto& s) { s.kv_listen = "tcp://*:0"; },    [](auto& s) { s.kv_listen = "tcp://0.0.0.0:7"; },
      [](auto& s) { s.kv_listen = "tcp://[::]:7"; }, [](auto& s) { s.grpc_listen = "0.0.0.0:0"; },
      [](auto& s) { s.http_listen = "[::]:0"; },
  };
  for (size_t i = 0; i < wildcards.size(); ++i) {
    WorkerSettings settings = Good();
    wildcards[i](settings);
    const absl::Status refused = PlanWorker(WorkerRole::kDecode, settings).status();
    EXPECT_THAT(refused.message(), testing::HasSubstr("--advertise_host=NAME")) << "wildcard " << i;
    settings.advertise_host = "10.1.2.3";
    EXPECT_TRUE(PlanWorker(WorkerRole::kDecode, settings).ok()) << "wildcard " << i;
    settings.advertise_host = "0.0.0.0";
    EXPECT_FALSE(PlanWorker(WorkerRole::kDecode, settings).ok()) << "wildcard " << i;
  }
}

TEST(WorkerSettings, KeysGoTogetherAndNameTheReader) {
  WorkerSettings settings = Good();
  settings.name = "decode-0";
  EXPECT_EQ(PlanWorker(WorkerRole::kDecode, settings)->worker.handoff.name, "") << "anybody could say so";
  settings.kv_key = "decode-0.key";
  EXPECT_THAT(PlanWorker(WorkerRole::kDecode, settings).status().message(),
              testing::HasSubstr("--kv_key and --kv_allowed_keys go together"));
  settings.kv_allowed_keys = "allowed";
  const auto plan = PlanWorker(WorkerRole::kDecode, settings);
  ASSERT_TRUE(plan.ok());
  EXPECT_EQ(plan->wire.key_file, "decode-0.key");
  EXPECT_EQ(plan->wire.allowed_keys_file, "allowed");
  EXPECT_EQ(plan->worker.handoff.name, "decode-0");
  settings.kv_curve = false;
  EXPECT_TRUE(absl::IsInvalidArgument(PlanWorker(WorkerRole::kDecode, settings).status()));
}

TEST(WorkerSettings, PagesFollowFromMemoryAndTheModelsShape) {
  WorkerSettings settings = Good();
  settings.model = BATON_SOURCE_DIR "/tests/goldens/model/tiny-llama.gguf";
  settings.kv_memory_mb = 1;
  auto plan = PlanWorker(WorkerRole::kDecode, settings);
  ASSERT_TRUE(plan.ok());
  ASSERT_TRUE(PlanPages(settings, &*plan).ok());
  EXPECT_GT(plan->model.page_count, 0);
  settings.page_tokens = 1024;
  settings.kv_dtype = "f32";
  plan = PlanWorker(WorkerRole::kDecode, settings);
  const int64_t fewer = PlanPages(settings, &*plan).ok() ? plan->model.page_count : 0;
  EXPECT_LT(fewer, 1 << 20);
}

}  // namespace
}  // namespace baton
