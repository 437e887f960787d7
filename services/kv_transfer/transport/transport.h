#pragma once

// A wire: it moves bytes between registered ranges of memory, and small messages between peers. It knows no
// tokens, layers, leases or requests. ZeroMQ, loopback and FastWire (shared memory, UCX, plain TCP) stand
// behind it; CUDA IPC fits without change above.
//
// Threads. One thread owns a Transport and makes every call but Wake(), links(), endpoint() and public_key(),
// which any thread may make. The handler is called only from within Poll(), on the owning thread, and may
// call back into the Transport (not Poll).
//
// Messages. Unreliable and unordered by contract: each arrives whole, at most a few times, or never. Loss is
// the caller's to repair. Queues are bounded: kBusy is back-pressure, not an error, and nothing was sent.
//
// Reads. PostReads starts a batch and returns at once; Poll reports its completion once, by tag. Batches
// complete in any order, and so do the ranges of a batch. A tag is not used twice in the life of a Transport.
// After the completion, whatever its status, the wire never touches the batch's local ranges again: that is
// the fence. Abort hastens it (a wire that cannot recall a read completes it when the endpoint has been
// closed or the read has landed) and never suppresses it. A batch that failed may be posted again, under a
// new tag, after its completion. A read of a peer that never answers completes only when aborted: deadlines
// are the caller's.
//
// Serving. Where the owner of the bytes serves reads (ZeroMQ, streams, loopback), the reader's `grant` is
// handed to WireHandler::OnRead, which answers with the ranges it stands for. ZeroMQ and loopback copy the
// bytes out before Poll returns; a stream takes them as fast as its peer does. On one-sided wires the grant
// is unused, and authority lies in possession of the remote key. There a read that outlives its permission
// sees bytes that may have changed: checksums and the owner's verdict are what makes them count.
//
// Lifetime. Registered memory outlives the Transport, or UnregisterAll() and the completion of all batches
// come first.

#include <cstdint>
#include <string>
#include <vector>

#include "absl/status/status.h"
#include "absl/status/statusor.h"
#include "absl/strings/string_view.h"
#include "absl/time/time.h"
#include "absl/types/span.h"

namespace baton {

using PeerId = uint64_t;    // a connection, made by us or accepted; never used twice; 0 is none
using RegionId = uint32_t;  // from 0, in the order of Register

// Bytes [offset, offset + length) of a registered region.
struct ByteRange {
  RegionId region = 0;
  uint64_t offset = 0;
  uint64_t length = 0;
  bool operator==(const ByteRange&) const = default;
};

// `length` bytes from the peer's region (of its numbering) to ours.
struct CopyOp {
  RegionId remote_region = 0;
  uint64_t remote_offset = 0;
  RegionId local_region = 0;
  uint64_t local_offset = 0;
  uint64_t length = 0;
  bool operator==(const CopyOp&) const = default;
};

// The next `length` bytes of a batch, within one of its ops, should have this Checksum64 (common/checksum.h).
struct RangeCheck {
  uint64_t length = 0;
  uint64_t checksum = 0;
  bool operator==(const RangeCheck&) const = default;
};

struct ReadBatch {
  PeerId peer = 0;
  uint64_t tag = 0;
  std::string grant;               // opaque; for WireHandler::OnRead at the peer
  std::string remote_key;          // the peer's RemoteKey of the region read; unused where the owner serves
  std::vector<CopyOp> ops;         // in the order in which the peer's OnRead lists the same bytes
  std::vector<RangeCheck> checks;  // of all its bytes, in the order of ops; none: nothing is checked
};

// A connection that reads were made over, for logs and metrics.
struct WireLink {
  std::string endpoint;  // the peer's
  std::string wire;      // "shm", "ucx", "tcp", "zmq"
  double gbps = 0;       // 1e9 bytes a second, of the probe at connect; 0: not probed
  absl::Duration round_trip;
  std::string messages;  // how they go: "lane" (lanes.h), "zmq"
};

enum class WireResult {
  kOk,
  kBusy,  // no resource now: try again after a while
  kGone,  // no such peer, or it has vanished
};

enum class PeerChange {
  kBack,    // a peer that we connected to: its connection had broken, and messages may be lost
  kGone,    // likewise: it broke and is not made again, or never could be; to be disconnected
  kDenied,  // one that connected to us: it may not any more, and is cut off
};

class WireHandler {
 public:
  virtual ~WireHandler() = default;
  virtual void OnMessage(PeerId from, absl::string_view message) = 0;
  // The ranges to send for `grant`, or why not (the reader's batch then completes as FailedPrecondition).
  virtual absl::StatusOr<std::vector<ByteRange>> OnRead(PeerId from, absl::string_view grant) = 0;
  // ok: all bytes are in place. DataLoss: they are not what the batch's checks say. Cancelled: aborted, or
  // the peer was disconnected. FailedPrecondition: the owner refused. Unavailable, ResourceExhausted: may be
  // posted again.
  virtual void OnReadDone(uint64_t tag, absl::Status status) = 0;
  // A frame that made no sense was dropped.
  virtual void OnMalformed(PeerId from, absl::string_view why) = 0;
  // Somebody who may not connect was turned away: `who` in words.
  virtual void OnDenied(absl::string_view who) { (void)who; }
  virtual void OnPeerChange(PeerId peer, PeerChange change, absl::string_view why) {
    (void)peer, (void)change, (void)why;
  }
};

class Transport {
 public:
  virtual ~Transport() = default;

  virtual absl::string_view name() const = 0;       // "zmq", "auto", "loopback"
  virtual const std::string& endpoint() const = 0;  // where peers reach us; constant
  // To be given to peers with the endpoint; may be empty. Another one when this process's identity changes;
  // the old ones stay valid while the old identity is listed, and the references for the Transport's life.
  virtual const std::string& public_key() const = 0;
  // Whom the wire has proven a peer that connected to us to be; empty: nobody in particular.
  virtual std::string PeerName(PeerId peer) const { return (void)peer, ""; }

  // Whether messages of this peer count: one that we connected to, or that connected to us and may still.
  virtual bool Knows(PeerId peer) const { return (void)peer, true; }

  // Whether the checks of batches are made, on the bytes as they are stored. Otherwise they are ignored.
  virtual bool VerifiesReads() const { return false; }
  virtual std::vector<WireLink> links() const { return {}; }

  // Makes `memory` readable by authorised peers and writable by our own reads.
  virtual absl::StatusOr<RegionId> Register(absl::Span<std::byte> memory) = 0;
  // What a peer needs to read the region one-sidedly; opaque, of at most 4 KiB; dies with this Transport.
  virtual std::string RemoteKey(RegionId region) const = 0;
  virtual void UnregisterAll() = 0;

  // Does not wait for the peer. The same endpoint and key give the same PeerId while connected.
  // ResourceExhausted: too many peers.
  virtual absl::StatusOr<PeerId> Connect(const std::string& endpoint, const std::string& public_key) = 0;
  // Closes the endpoint; its batches complete as Cancelled. Unknown peers are ignored.
  virtual void Disconnect(PeerId peer) = 0;

  virtual WireResult Send(PeerId peer, absl::string_view message) = 0;
  virtual WireResult PostReads(ReadBatch batch) = 0;
  virtual void Abort(uint64_t tag) = 0;  // unknown tags are ignored

  // Delivers what has arrived; if nothing has, waits until something does, Wake() is called, or `timeout` has
  // passed. Bounded work per call, so that the caller's timers are served.
  virtual void Poll(absl::Duration timeout, WireHandler* handler) = 0;
  // Ends the current or the next Poll early. Any thread.
  virtual void Wake() = 0;
};

}  // namespace baton
