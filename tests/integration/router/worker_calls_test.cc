// Without a gRPC server in the process, so that the last channel to go is one of the calls'.

#include "services/router/rpc/worker_calls.h"

#include <gtest/gtest.h>

#include <boost/asio/io_context.hpp>
#include <boost/asio/ip/tcp.hpp>
#include <memory>
#include <string>
#include <vector>

#include "absl/synchronization/notification.h"

namespace baton::router {
namespace {

using boost::asio::ip::tcp;

// Takes connections and never says a word.
class SilentPeer {
 public:
  std::string endpoint() const { return "127.0.0.1:" + std::to_string(acceptor_.local_endpoint().port()); }

 private:
  boost::asio::io_context context_;
  tcp::acceptor acceptor_{context_, tcp::endpoint(boost::asio::ip::address_v4::loopback(), 0)};
};

struct Ended {
  absl::Notification done;
  absl::Status status;

  std::function<void(WatchMessage)> Callback() {
    return [this](WatchMessage message) {
      if (const auto* end = std::get_if<EndedMessage>(&message)) {
        status = end->status;
        done.Notify();
      }
    };
  }
  bool Wait() { return done.WaitForNotificationWithTimeout(absl::Seconds(10)); }
};

TEST(WorkerCallsTest, DestroyedWithCallsOpen) {
  const SilentPeer peer;
  for (int round = 0; round < 100; ++round) {
    Ended ended[3];
    std::vector<std::shared_ptr<Call>> held;
    {
      WorkerCalls calls({});
      for (Ended& one : ended) held.push_back(calls.Watch(peer.endpoint(), one.Callback()));
      if (round % 2 == 0) held.clear();
    }
    for (Ended& one : ended) {
      ASSERT_TRUE(one.done.HasBeenNotified());
      EXPECT_EQ(one.status.code(), absl::StatusCode::kCancelled) << one.status;
    }
  }
}

TEST(WorkerCallsTest, CallsOutliveTheirForgottenChannel) {
  const SilentPeer peer;
  WorkerCalls calls({});
  for (int round = 0; round < 100; ++round) {
    Ended ended;
    std::shared_ptr<Call> call = calls.Watch(peer.endpoint(), ended.Callback());
    calls.Retain({});
    ASSERT_FALSE(ended.done.HasBeenNotified());
    call.reset();
    ASSERT_TRUE(ended.Wait());
    EXPECT_EQ(ended.status.code(), absl::StatusCode::kCancelled) << ended.status;
  }
}

TEST(WorkerCallsTest, CallsAfterShutdownEndAtOnce) {
  const SilentPeer peer;
  WorkerCalls calls({});
  calls.Shutdown();
  Ended ended;
  const std::shared_ptr<Call> call = calls.Watch(peer.endpoint(), ended.Callback());
  ASSERT_TRUE(ended.Wait());
  EXPECT_EQ(ended.status.code(), absl::StatusCode::kCancelled) << ended.status;
}

TEST(WorkerCallsTest, NobodyThereIsUnavailable) {
  WorkerCalls calls({});
  const std::string endpoint = SilentPeer().endpoint();  // gone again
  Ended ended;
  const std::shared_ptr<Call> call = calls.Watch(endpoint, ended.Callback());
  ASSERT_TRUE(ended.Wait());
  EXPECT_EQ(ended.status.code(), absl::StatusCode::kUnavailable) << ended.status;
}

TEST(WorkerCallsTest, NoStreamWaitsForAReportInHand) {
  const std::string endpoint = SilentPeer().endpoint();
  absl::Notification reported, stream_ended, report_done;
  bool in_time = false;
  WorkerCalls calls({});
  const auto watch = calls.Watch(endpoint, [&](WatchMessage) {
    reported.Notify();
    in_time = stream_ended.WaitForNotificationWithTimeout(absl::Seconds(10));
    report_done.Notify();
  });
  ASSERT_TRUE(reported.WaitForNotificationWithTimeout(absl::Seconds(10)));
  const auto stream = calls.Resume(endpoint, {}, [&](DecodeMessage) { stream_ended.Notify(); });
  report_done.WaitForNotification();
  EXPECT_TRUE(in_time);
}

}  // namespace
}  // namespace baton::router
