#pragma once

// Requests that wait, in the order in which they shall be served: a higher priority before a lower one, and
// within one fairly among flows (API keys), in tokens and by weight.
//
// Start-time fair queueing (Goyal, Vin, Cheng: "Start-time Fair Queuing", SIGCOMM 1996): a request starts at
// S = max(v, F of its flow's last), ends at F = S + tokens / weight; the least S is next, and v becomes its
// S. A full priority takes from whoever holds the most tokens by weight (McKenney: "Stochastic Fairness
// Queueing", INFOCOM 1990): that flow's youngest gives way, unless the newcomer's flow would hold more.
//
// Not thread-safe. Operations take time linear in what waits.

#include <cstdint>
#include <deque>
#include <functional>
#include <map>
#include <optional>
#include <utility>
#include <vector>

#include "absl/time/time.h"
#include "common/clock.h"

namespace baton::router {

using AdmissionTicket = uint64_t;  // chosen by the caller, never used twice

struct FairFlow {
  uint64_t id = 0;
  double weight = 1;  // above 0; of the last request counts
};

struct Waiting {
  AdmissionTicket ticket = 0;
  uint64_t tokens = 0;
  int priority = 0;
  FairFlow flow;
  MonoTime deadline = absl::InfiniteFuture();
};

struct FairQueueBounds {  // of each priority
  uint64_t requests = 256;
  uint64_t tokens = 1u << 20;
};

class FairQueue {
 public:
  struct Pushed {
    bool queued = false;
    std::vector<AdmissionTicket> displaced;  // made room
  };

  explicit FairQueue(const FairQueueBounds& bounds) : bounds_(bounds) {}

  Pushed Push(const Waiting& waiting);
  // Accounts for a request that is served without waiting.
  void Pass(const Waiting& waiting);
  const Waiting* Head() const;  // nullptr: nothing waits
  Waiting Pop();                // of a queue that is not empty
  bool Remove(AdmissionTicket ticket);
  std::vector<AdmissionTicket> Expire(MonoTime now);
  MonoTime NextDeadline() const;
  // Tokens that would be served before this newcomer.
  uint64_t TokensBefore(const Waiting& newcomer) const;

  uint64_t size() const { return size_; }
  uint64_t tokens() const { return tokens_; }

 private:
  struct Flow {
    std::deque<Waiting> waiting;
    double start = 0;  // of the first that waits; of none: the end of the last served
    double weight = 1;
    uint64_t tokens = 0;  // of those that wait
    double Share() const { return static_cast<double>(tokens) / weight; }
  };
  struct Level {
    std::map<uint64_t, Flow> flows;
    double now = 0;  // virtual time
    uint64_t size = 0, tokens = 0;
  };
  using Levels = std::map<int, Level, std::greater<>>;

  std::optional<std::vector<AdmissionTicket>> RoomFor(const Level& level, const Waiting& newcomer) const;
  static Flow& FlowOf(Level& level, const FairFlow& flow);
  static const std::pair<const uint64_t, Flow>* NextFlow(const Level& level);
  void Took(Level& level, Flow& flow, std::deque<Waiting>::iterator which);
  void Forget(Levels::iterator level);

  const FairQueueBounds bounds_;
  Levels levels_;
  uint64_t size_ = 0, tokens_ = 0;
};

}  // namespace baton::router
