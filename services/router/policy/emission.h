#pragma once

// Who may emit a stream's next token (DESIGN section 4, "Emission"). A decision class: no threads, no clock.
//
// A token is accepted only from the stream's current attempt and only for the next position. A token for a
// position that is already out, from the current attempt, is a repetition: decode's position 0 repeats
// prefill's first token, whichever arrives first. It must be the same token; a difference is an error of the
// cluster and ends the stream.

#include <cstdint>
#include <utility>
#include <vector>

#include "common/ids.h"

namespace baton::router {

struct AlternativeToken {
  TokenId token = 0;
  float logprob = 0;
};

struct StreamToken {
  uint32_t position = 0;  // of generated tokens, from 0
  TokenId token = 0;
  float logprob = 0;
  std::vector<AlternativeToken> top;
};

enum class EmissionVerdict {
  kEmit,      // the next token: give it to the client
  kStale,     // not of the current attempt: dropped and counted
  kRepeated,  // already out, and equal: dropped
  kGap,       // beyond the next position: dropped; the attempt has lost a token and can't go on
  kDiffers,   // already out, and different: dropped; an error
};

struct EmissionCounts {
  uint64_t emitted = 0;
  uint64_t stale = 0;
  uint64_t repeated = 0;
  uint64_t gaps = 0;
  uint64_t differing = 0;
};

// Not thread-safe.
class StreamEmission {
 public:
  // `emitted`: under earlier claims of the stream, by whichever router held them.
  explicit StreamEmission(std::vector<TokenId> emitted = {}) : emitted_(std::move(emitted)) {}

  // Makes `attempt` the current one. False, and nothing changes, unless it is higher than every earlier one.
  bool Begin(Attempt attempt);
  // Judges a token and, for kEmit, records it as out.
  EmissionVerdict Offer(Attempt attempt, const StreamToken& token);

  // A token of the current attempt that came after that was given up: dropped.
  void CountStale() { ++counts_.stale; }

  Attempt attempt() const { return attempt_; }
  uint32_t next_position() const { return static_cast<uint32_t>(emitted_.size()); }
  const std::vector<TokenId>& emitted() const { return emitted_; }
  const EmissionCounts& counts() const { return counts_; }

 private:
  bool begun_ = false;
  Attempt attempt_;
  std::vector<TokenId> emitted_;
  EmissionCounts counts_;
};

}  // namespace baton::router
