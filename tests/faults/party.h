#pragma once

// One process of the fault tests: a production HandoffDriver between an OwnerSide and a ReaderSide, told what
// to do in lines of words, telling what happens in lines of JSON. Not thread-safe.
//
//   begin S N EPOCH MS       owns attempt N of stream S for the reader of EPOCH, to end in MS milliseconds
//   compute S N STEPS SEAL   computes until STEPS are done; then seals if SEAL is 1
//   revoke S N
//   pull S N ENDPOINT EPOCH MS
//   cancel S N
//   status                   answered by a line of what is left
//   quit

#include <functional>
#include <map>
#include <memory>
#include <string>

#include "absl/status/statusor.h"
#include "services/kv_transfer/handoff/driver.h"
#include "tests/faults/owner_side.h"
#include "tests/faults/reader_side.h"

namespace baton::faults {

class Party final : public HandoffEventSink {
 public:
  struct Options {
    HandoffOptions handoff;
    int64_t pages = 24;
    absl::Duration step_time = absl::Milliseconds(10);
    absl::Duration attend_time = absl::Milliseconds(200);
  };
  using Say = std::function<void(const std::string& line)>;

  // `wire` and `clock` outlive the party.
  static absl::StatusOr<std::unique_ptr<Party>> Create(const Options& options, GuardedPages* pages,
                                                       Transport* wire, const Clock* clock, Say say);

  // InvalidArgument: no such command. Sets done() on `quit`.
  absl::Status Command(absl::string_view line);
  bool done() const { return done_; }
  // Serves timers and the wire once; waits at most `longest`.
  void Step(absl::Duration longest);

  void OnHandoffEvent(HandoffEvent event) override;

 private:
  Party(const Options& options, GuardedPages* pages, const Clock* clock, Say say);

  void On(const OwnEnded& event);
  void On(const PullHeld& event);
  void On(const PullLost& event);
  void On(const PullFenced& event);
  absl::Status Run(const std::vector<absl::string_view>& words, const HandoffId& id);
  // Says what has changed of every handoff that was begun here.
  void Report();
  void ReportOwned(const HandoffId& id);
  void ReportPulled(const HandoffId& id);
  void SayState(std::string* last, const char* side, const HandoffId& id, const std::string& state,
                const std::string& more);
  void SayStatus();
  double Seconds() const;

  GuardedPages* const pages_;
  const Clock* const clock_;
  const Say say_;
  const Epoch epoch_ = RandomId128();
  std::unique_ptr<HandoffDriver> driver_;
  OwnerSide owner_;
  ReaderSide reader_;
  std::map<HandoffId, std::string> owned_, pulled_;  // what was said last
  bool done_ = false;
};

}  // namespace baton::faults
