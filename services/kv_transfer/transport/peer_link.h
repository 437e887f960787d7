#pragma once

// FastWire's reads of one peer: chooses the path, measures it, and holds reads back until it is known. Driven
// by FastWire.

#include <algorithm>
#include <deque>
#include <memory>
#include <optional>
#include <string>

#include "services/kv_transfer/transport/byte_path.h"
#include "services/kv_transfer/transport/fast_wire.h"
#include "services/kv_transfer/transport/wire_key.h"

namespace baton {

// A better way than the one in use, opened and measured beside it while reads go on.
struct PeerLook {
  std::deque<WireChoice> untried;
  WireChoice kind = WireChoice::kZmq;
  std::unique_ptr<BytePath> path;
  uint64_t tag = 0;  // of the probe
  int probes_left = 0;
  size_t bytes = 0;
  MonoTime begun, until;
  double gbps = 0;
};

class PeerLink {
 public:
  // What it needs of FastWire; outlives it.
  class Host {
   public:
    virtual ~Host() = default;
    virtual const FastWireOptions& options() const = 0;
    virtual MonoTime Now() const = 0;
    virtual uint64_t NewTag() = 0;  // for probes; none of the caller's
    // A path of this kind to a peer. Unavailable: why not.
    virtual absl::StatusOr<std::unique_ptr<BytePath>> Open(WireChoice kind, const WireKey& key,
                                                           const std::string& remote_key,
                                                           const std::string& endpoint) = 0;
    // The way of kZmq.
    virtual WireResult PostInline(ReadBatch batch) = 0;
    // Asks the peer for a message of `bytes` bytes; OnPong(nonce) follows.
    virtual WireResult Ping(PeerId peer, uint64_t nonce, uint32_t bytes) = 0;
  };

  PeerLink(PeerId peer, std::string endpoint, Host* host)
      : peer_(peer), endpoint_(std::move(endpoint)), host_(host) {}

  WireResult Post(ReadBatch batch);
  void Abort(uint64_t tag, std::vector<ReadDone>* done);
  // Returns whether there is more to do at once.
  bool Progress(std::vector<ReadDone>* done);
  void OnPong(uint64_t nonce);
  // Whether its memory is mapped, and so a lane may reach it.
  bool mapped() const { return state_ == State::kReady && kind_ == WireChoice::kShm; }
  // Its messages go another way from now on: their round trip is measured again.
  void OnLane(bool up);
  // The next time at which Progress has something to do without being asked.
  MonoTime NextDeadline() const {
    if (look_.has_value()) return look_->until;
    if (state_ != State::kProbing) return absl::InfiniteFuture();
    return path_ == nullptr ? std::min(probe_until_, ask_again_) : probe_until_;
  }
  // Ends every read as Cancelled.
  void Close(std::vector<ReadDone>* done);

  // Empty wire: not ready.
  WireLink facts() const;
  bool TakeChanged() { return std::exchange(changed_, false); }

 private:
  static constexpr size_t kProbeBytes = 4 << 20;
  static constexpr int kProbes = 2;  // the better counts: the first touches memory and opens windows
  enum class State { kNew, kProbing, kReady, kFailed };
  // Whether it is to be read from another life of the peer than the one that was chosen for.
  bool OfAnotherLife(const ReadBatch& batch) const;
  // All that may be tried, the best first.
  std::deque<WireChoice> Ways() const;
  // Whether it is time to see if the way that broke is there again.
  bool MayReturn() const;
  void LookForBetter();
  void NextLook();
  bool ProbeLook();
  void LookDone(bool ok);
  void TakeLook();
  bool ProgressLook();
  bool ProgressLeft(std::vector<ReadDone>* done);
  void DropLeft(const absl::Status& status, std::vector<ReadDone>* done);
  void Broke();  // the path
  void Renew();
  absl::Duration NextWait() const;
  void Choose(const std::string& remote_key);
  bool Try(WireChoice kind, const WireKey& key);
  void StartProbe();
  // Of the probe over messages, which may be lost.
  void SendPing();
  void ProbeDone(const absl::Status& status);
  void Ready();
  void MeasureTrips();
  void StartTrip();
  void Fail(absl::Status why);
  void Drop(const absl::Status& status, std::vector<ReadDone>* done);

  const PeerId peer_;
  const std::string endpoint_;
  Host* const host_;
  State state_ = State::kNew;
  Id128 process_;  // whose life the path is to
  std::string remote_key_;
  std::deque<WireChoice> untried_;
  WireChoice kind_ = WireChoice::kZmq;
  std::unique_ptr<BytePath> path_;  // none: kZmq
  std::vector<uint64_t> posted_;    // on the path
  std::deque<ReadBatch> waiting_;
  std::string tried_;               // in words
  std::optional<WireChoice> lost_;  // was ready and broke; what is ready now is second best
  std::optional<PeerLook> look_;    // only while ready
  std::unique_ptr<BytePath> left_;  // for a better one, until its reads are done
  std::vector<uint64_t> left_posted_;
  absl::Status why_;
  MonoTime look_again_;
  absl::Duration wait_;  // after the last of the failures, or second bests, that came one after the other

  uint64_t probe_tag_ = 0;
  int probes_left_ = 0;
  size_t probe_bytes_ = 0;
  MonoTime probe_begun_, probe_until_, ask_again_;
  bool asked_ = false;  // the peer, by the ping of this probe
  double gbps_ = 0;
  uint64_t trip_nonce_ = 0;
  int trips_left_ = 0;  // they start when nothing is read: a busy thread would be measured otherwise
  bool trip_disturbed_ = false;
  MonoTime trip_begun_;
  absl::Duration round_trip_;  // the shortest; infinite: not known
  bool lane_ = false;          // messages go over one
  bool changed_ = false;
};

}  // namespace baton
