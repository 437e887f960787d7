#pragma once

// Messages to peers of the same host by the shortest way: a packet wakes its receiver and nobody else, where
// ZeroMQ wakes a thread of its own at either end besides. Unencrypted, between two processes of one user.
//
// Who is at the other end is as certain as over ZeroMQ, since what proves it travels only there: the side
// that connected asks (Ask), the other answers with a name and two secrets, made for this one connection and
// used once; the asker says the first over the lane, and is answered with the second. What comes over a lane
// counts as long as the host still knows that peer. A lane that breaks, is full or says anything unexpected
// costs nothing but itself: the host sends by the other way.
//
// One thread. Bounded: lanes, those that have not said who they are, messages queued, bytes of a message.

#include <map>
#include <optional>
#include <set>
#include <string>
#include <vector>

#include "common/clock.h"
#include "common/ids.h"
#include "services/kv_transfer/transport/lane_messages.h"
#include "services/kv_transfer/transport/lane_socket.h"
#include "services/kv_transfer/transport/transport.h"
#include "services/kv_transfer/transport/watch.h"

namespace baton {

class Lanes {
 public:
  // What it needs of FastWire; outlives it. Calls may come back, but for Progress and Flush.
  class Host {
   public:
    virtual ~Host() = default;
    virtual MonoTime Now() const = 0;
    virtual bool Knows(PeerId peer) const = 0;
    // Over the way that proves who is who.
    virtual WireResult SendProven(PeerId peer, absl::string_view message) = 0;
    virtual void OnLaneMessage(PeerId from, absl::string_view message) = 0;
    virtual void OnLaneMalformed(PeerId from, absl::string_view why) = 0;
    virtual void OnLaneDenied(absl::string_view who) = 0;
    virtual void OnLaneChange(PeerId peer, bool up) = 0;
  };

  static constexpr size_t kMaxMessage = 64 << 10;
  static constexpr size_t kMaxLanes = 1024;
  static constexpr size_t kMaxStrangers = 64;  // full: the oldest is cut
  static constexpr size_t kMaxQueued = 64;     // messages of a lane between two calls of Flush
  static constexpr absl::Duration kGreetWithin = absl::Seconds(1);

  // `watch` outlives it, and is readable when Progress has something to do. Unavailable: no socket.
  static absl::StatusOr<std::unique_ptr<Lanes>> Open(Host* host, const Watch* watch);
  ~Lanes();
  Lanes(const Lanes&) = delete;
  Lanes& operator=(const Lanes&) = delete;

  // Asks a peer for a lane, if there is none, and not again at once.
  void Want(PeerId peer);
  // Of a message that came over the proven way; whether it was one of ours.
  bool OnProven(PeerId from, absl::string_view message);
  bool Has(PeerId peer) const;
  // Takes the message to be sent at the next Flush; false: by the other way.
  bool Send(PeerId peer, absl::string_view message);
  // Sends what was taken; what there is no room for goes by the other way.
  void Flush();
  void Progress();
  // Its lane, after what was taken is sent, and what is known of it.
  void Drop(PeerId peer);

 private:
  enum class State { kStranger, kGreeting, kUp };
  struct Lane {
    LaneSocket socket;
    State state = State::kStranger;
    PeerId peer = 0;  // of a stranger: not known yet
    Id128 expects;    // of one that greets: what the other side answers
    MonoTime until;   // to be up
    std::vector<std::string> out;
  };
  struct Asked {
    Id128 nonce;
    MonoTime again;
    absl::Duration wait;
  };
  struct Told {
    LaneSecrets secrets;
    MonoTime until;
  };

  Lanes(Host* host, const Watch* watch, LaneListener listener);
  void Tell(PeerId peer, const Id128& nonce);
  void Connect(PeerId peer, const LaneTold& told);
  void Accept();
  Lane& Add(Lane lane);
  void Receive(int fd);
  // Whether the lane is still there.
  bool Take(int fd, absl::string_view packet);
  bool TakeGreeting(int fd, absl::string_view packet);
  void Up(Lane& lane);
  bool Malformed(int fd, absl::string_view why);
  void FlushLane(int fd);
  void Close(int fd);
  void CloseLate();
  Lane* LaneOf(PeerId peer);

  Host* const host_;
  const Watch* const outer_;
  const LaneListener listener_;
  Watch watch_;
  LaneInbox inbox_;
  std::map<int, Lane> lanes_;      // by descriptor
  std::map<PeerId, int> by_peer_;  // those that greet or are up
  std::map<PeerId, Asked> asked_;
  std::map<PeerId, Told> told_;
  std::set<int> queued_;  // lanes with something to send
  MonoTime next_late_ = absl::InfiniteFuture();
};

}  // namespace baton
