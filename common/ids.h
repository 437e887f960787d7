#pragma once

// Identities that several layers share.

#include <array>
#include <compare>
#include <cstdint>
#include <string>

namespace baton {

using TokenId = int32_t;
using PageId = int32_t;  // index of a page in its rank's pool

// 128 random or hashed bits, compared for equality only (ordered so that it can key a map).
struct Id128 {
  uint64_t hi = 0;
  uint64_t lo = 0;
  auto operator<=>(const Id128&) const = default;
  bool empty() const { return hi == 0 && lo == 0; }
  std::string ToHex() const;
  template <typename H>
  friend H AbslHashValue(H h, const Id128& id) {
    return H::combine(std::move(h), id.hi, id.lo);
  }
};

using StreamId = Id128;   // one client-visible token stream (one choice of one request)
using Epoch = Id128;      // one life of a process
using BlockHash = Id128;  // keyed chain hash of a prefix block (common/block_hash.h)

// Which try at a stream: the claim grows with each (re)connection of the client, n with each replay (DESIGN
// section 4).
struct Attempt {
  uint32_t claim = 0;
  uint32_t n = 0;
  auto operator<=>(const Attempt&) const = default;
  template <typename H>
  friend H AbslHashValue(H h, const Attempt& a) {
    return H::combine(std::move(h), a.claim, a.n);
  }
};

// Identifies a handoff: the stream and the attempt it serves, and between sharded ranks which leg it is.
struct HandoffId {
  StreamId stream;
  Attempt attempt;
  uint32_t leg = 0;
  auto operator<=>(const HandoffId&) const = default;
  template <typename H>
  friend H AbslHashValue(H h, const HandoffId& id) {
    return H::combine(std::move(h), id.stream, id.attempt, id.leg);
  }
};

// 128 bits from the system's cryptographic generator (libsodium). Thread-safe.
Id128 RandomId128();

}  // namespace baton
