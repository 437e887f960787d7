#include "services/router/policy/fair_queue.h"

#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include <map>
#include <random>

namespace baton::router {
namespace {

using ::testing::ElementsAre;

Waiting Of(AdmissionTicket ticket, uint64_t flow, uint64_t tokens, double weight = 1, int priority = 0) {
  return {.ticket = ticket, .tokens = tokens, .priority = priority, .flow = {flow, weight}};
}

std::vector<AdmissionTicket> Drain(FairQueue& queue) {
  std::vector<AdmissionTicket> order;
  while (queue.Head() != nullptr) {
    const AdmissionTicket head = queue.Head()->ticket;
    EXPECT_EQ(queue.Pop().ticket, head);
    order.push_back(head);
  }
  EXPECT_EQ(queue.size() + queue.tokens(), 0u);
  return order;
}

TEST(FairQueue, OneFlowIsFirstComeFirstServed) {
  FairQueue queue({});
  for (AdmissionTicket ticket = 1; ticket <= 3; ++ticket) queue.Push(Of(ticket, 1, 10 * ticket));
  EXPECT_EQ(queue.tokens(), 60u);
  EXPECT_THAT(Drain(queue), ElementsAre(1, 2, 3));
}

TEST(FairQueue, PrioritiesAreStrictAndBoundedEach) {
  FairQueue queue({.requests = 2});
  queue.Push(Of(1, 1, 1));
  queue.Push(Of(2, 1, 1));
  EXPECT_FALSE(queue.Push(Of(3, 1, 1)).queued);
  EXPECT_TRUE(queue.Push(Of(4, 1, 1, 1, 5)).queued) << "a priority of its own";
  EXPECT_EQ(queue.TokensBefore(Of(9, 1, 1, 1, 5)), 1u);
  EXPECT_EQ(queue.TokensBefore(Of(9, 1, 1)), 3u);
  EXPECT_EQ(queue.TokensBefore(Of(9, 2, 1)), 2u) << "a new flow starts with the first of the others";
  EXPECT_THAT(Drain(queue), ElementsAre(4, 1, 2));
}

// However the flows arrive, what they get while all wait is by weight, but for one request.
TEST(FairQueue, BackloggedFlowsGetTokensByWeight) {
  std::mt19937 random(7);
  FairQueue queue({.requests = 10000, .tokens = 1u << 30});
  const std::map<uint64_t, double> weights = {{1, 1}, {2, 2}, {3, 5}};
  AdmissionTicket ticket = 0;
  for (int i = 0; i < 1000; ++i) {
    for (const auto& [flow, weight] : weights) queue.Push(Of(++ticket, flow, 1 + random() % 100, weight));
  }
  std::map<uint64_t, double> got;
  for (int i = 0; i < 1000; ++i) {
    const Waiting next = queue.Pop();
    got[next.flow.id] += static_cast<double>(next.tokens) / next.flow.weight;
    for (const auto& [flow, share] : got) EXPECT_NEAR(share, got[1], 200);
  }
  EXPECT_GT(got[1], 1000);
}

TEST(FairQueue, AnIdleFlowSavesNothingUp) {
  FairQueue queue({});
  for (AdmissionTicket ticket = 1; ticket <= 4; ++ticket) queue.Push(Of(ticket, 1, 10));
  queue.Pop();
  queue.Pop();
  queue.Push(Of(11, 2, 10));
  queue.Push(Of(12, 2, 10));
  EXPECT_THAT(Drain(queue), ElementsAre(11, 3, 12, 4)) << "in turns from now on, not all at once";
}

TEST(FairQueue, WhatPassesByCounts) {
  FairQueue queue({});
  queue.Pass(Of(1, 1, 100));
  queue.Push(Of(2, 1, 10));
  queue.Push(Of(3, 2, 10));
  EXPECT_THAT(Drain(queue), ElementsAre(3, 2));
}

TEST(FairQueue, TheHeaviestGivesWay) {
  FairQueue queue({.requests = 4, .tokens = 100});
  for (AdmissionTicket ticket = 1; ticket <= 4; ++ticket) queue.Push(Of(ticket, 1, 20));
  EXPECT_FALSE(queue.Push(Of(5, 1, 1)).queued) << "its own flow is the heaviest";
  const auto pushed = queue.Push(Of(6, 2, 30));
  EXPECT_TRUE(pushed.queued);
  EXPECT_THAT(pushed.displaced, ElementsAre(4));
  const auto large = queue.Push(Of(7, 3, 90));
  EXPECT_FALSE(large.queued) << "it would be the heaviest";
  EXPECT_TRUE(large.displaced.empty()) << "then nobody gives way for it";
  EXPECT_EQ(queue.size(), 4u);
  EXPECT_EQ(queue.tokens(), 90u);
}

TEST(FairQueue, ExpiresAndRemoves) {
  FairQueue queue({});
  Waiting soon = Of(1, 1, 10);
  soon.deadline = absl::UnixEpoch();
  queue.Push(Of(2, 1, 10));
  queue.Push(soon);
  queue.Push(Of(3, 1, 10));
  EXPECT_EQ(queue.NextDeadline(), absl::UnixEpoch());
  EXPECT_THAT(queue.Expire(absl::UnixEpoch()), ElementsAre(1));
  EXPECT_TRUE(queue.Remove(2));
  EXPECT_FALSE(queue.Remove(2));
  EXPECT_EQ(queue.tokens(), 10u);
  EXPECT_THAT(Drain(queue), ElementsAre(3));
}

}  // namespace
}  // namespace baton::router
