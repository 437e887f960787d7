#pragma once

// HandoffOwner and HandoffReader on a simulated thread and wire: what services/kv_transfer/handoff/node.cc
// does with a real one. The mutations that concern the handoff live here.

#include <deque>
#include <functional>
#include <map>
#include <string>
#include <vector>

#include "services/kv_transfer/handoff/owner.h"
#include "services/kv_transfer/handoff/reader.h"
#include "tests/sim/context.h"
#include "tests/sim/sim_engine.h"

namespace baton::sim {

// What the owners of a world said, to compare with what the readers believe.
struct VerdictBook {
  std::map<std::pair<HandoffId, Epoch>, bool> owner_held;  // by handoff and the owner's epoch
};

// How the coverage calls a transition.
std::string OwnerTransitionName(OwnerState from, OwnerState to);
std::string ReaderTransitionName(ReaderState from, ReaderState to);

class SimHandoff final : public WireHandler {
 public:
  using OnEvent = std::function<void(HandoffEvent)>;  // on the worker's thread

  SimHandoff(const Context& context, NodeId node, std::string name, Epoch epoch, SimEngine* engine,
             VerdictBook* book, OnEvent on_event, std::function<void()> restart);

  void Submit(HandoffCommand command);
  const std::string& endpoint() const { return transport_.endpoint(); }
  std::string WhyNotAtBaseline() const;
  // Adds the transitions taken to the coverage. Once, at the end of this life.
  void ReportTransitions();

 private:
  void OnMessage(PeerId from, absl::string_view message) override;
  absl::StatusOr<std::vector<ByteRange>> OnRead(PeerId from, absl::string_view grant) override;
  void OnReadDone(uint64_t tag, absl::Status status) override;
  void OnMalformed(PeerId, absl::string_view why) override {
    context_.checker->Fail(name_, ": malformed: ", std::string(why));
  }

  MonoTime Now() const { return context_.queue->NodeNow(node_); }
  void Wake();
  void Turn();
  void Carry(const HandoffCommand& command);
  void Act();
  void ActOwner(OwnerAction action);
  void ActReader(ReaderAction action);
  void Send(const WireSend& send);
  void Post(PostPull post);
  void Verify(const VerifyUnits& verify);
  void Report(HandoffEvent event);
  void ReportReader(HandoffEvent event);
  void FileTimer();
  OwnerOptions MakeOwnerOptions();
  ReaderOptions MakeReaderOptions();

  const Context& context_;
  const NodeId node_;
  const std::string name_;
  const Epoch epoch_;
  SimEngine* const engine_;
  VerdictBook* const book_;
  const OnEvent on_event_;
  const std::function<void()> restart_;
  Strand to_worker_;
  Prng secrets_;
  SimTransport transport_;
  HandoffOwner owner_;
  HandoffReader reader_;
  OwnerActions owner_actions_;
  ReaderActions reader_actions_;
  std::deque<HandoffCommand> commands_;
  std::map<HandoffId, Epoch> sources_;  // of pulls
  bool woken_ = false;
  MonoTime timer_ = absl::InfiniteFuture();  // the earliest one filed
};

}  // namespace baton::sim
