// The node is made on a thread of the host's own, while callers go on.
#include "services/kv_transfer/pool/service/pool_host.h"

#include <gtest/gtest.h>

#include "absl/synchronization/notification.h"
#include "services/kv_transfer/transport/zmq_wire.h"

namespace baton::pool {
namespace {

constexpr KvLayout kLayout{.layers = 2, .kv_heads = 1, .head_dim = 8, .dtype = KvDtype::kF16};

struct Asked {
  PoolHost::Attached Done() {
    return [this](absl::StatusOr<std::shared_ptr<PoolNode>> node) {
      answer = std::move(node);
      done.Notify();
    };
  }
  absl::Status Status() {
    EXPECT_TRUE(done.WaitForNotificationWithTimeout(absl::Seconds(20)));
    return answer.status();
  }
  absl::StatusOr<std::shared_ptr<PoolNode>> answer;
  absl::Notification done;
};

class PoolHostTest : public testing::Test {
 protected:
  SteadyClock clock_;
  absl::Notification wire_wanted_, wire_may_come_;
  Asked first_, second_, other_, late_;
  PoolHost host_{{.memory_bytes = 1 << 20},
                 [this](const SharedMemory&) {
                   wire_wanted_.Notify();
                   wire_may_come_.WaitForNotification();
                   return NewZmqTransport({});
                 },
                 nullptr,
                 &clock_};
};

TEST_F(PoolHostTest, CallersDoNotWaitWhileTheNodeIsMade) {
  host_.Attach("weights", kLayout, first_.Done());
  ASSERT_TRUE(wire_wanted_.WaitForNotificationWithTimeout(absl::Seconds(20)));
  host_.Attach("weights", kLayout, second_.Done());
  host_.Attach("other weights", kLayout, other_.Done());
  EXPECT_FALSE(first_.done.HasBeenNotified() || second_.done.HasBeenNotified());
  EXPECT_EQ(host_.node(), nullptr);
  wire_may_come_.Notify();
  EXPECT_EQ(first_.Status(), absl::OkStatus());
  EXPECT_EQ(second_.Status(), absl::OkStatus());
  EXPECT_EQ(*first_.answer, *second_.answer);
  EXPECT_TRUE(absl::IsFailedPrecondition(other_.Status())) << other_.Status();
  host_.Attach("weights", kLayout, late_.Done());
  EXPECT_TRUE(late_.done.HasBeenNotified()) << "it is there: the answer comes at once";
}

TEST_F(PoolHostTest, WhatNoPoolCouldHoldIsRefusedAtOnce) {
  wire_may_come_.Notify();
  host_.Attach("", kLayout, first_.Done());
  EXPECT_TRUE(absl::IsInvalidArgument(first_.Status()));
  host_.Attach("weights", {}, second_.Done());
  EXPECT_TRUE(absl::IsInvalidArgument(second_.Status()));
  EXPECT_FALSE(wire_wanted_.HasBeenNotified());
}

}  // namespace
}  // namespace baton::pool
