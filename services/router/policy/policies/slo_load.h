#pragma once

// What the policy `slo` knows of ranks beyond their reports: which of its own streams each has, how far they
// are, and how long such work takes there. Decision class, not thread-safe.

#include <cstdint>
#include <deque>
#include <memory>
#include <string>
#include <utility>

#include "absl/container/flat_hash_map.h"
#include "services/router/policy/policy.h"
#include "services/router/policy/rank_model.h"

namespace baton::router {

struct SloPrompt {
  double uncached = 0, held = 0;  // tokens
};
struct SloDecoding {
  double streams = 0, context = 0;  // context: tokens of all of them
  double computing = 0;             // share of the time in which prompts are computed there too
};

class SloLoad {
 public:
  // A rank as it is now reported: what is not this router's own load on it is others'.
  void Look(const RankView& rank);
  // StreamPlaced of `stream` will come, or never.
  void Placing(uint64_t stream, const SloPrompt& prompt);
  void Learn(const PolicyFeedback& feedback);
  // Forgets ranks that are not among these, once they are many.
  void Retain(absl::Span<const RankView> ranks);

  // Seconds until a prompt that is placed now begins, and in which it is then computed.
  double WaitSeconds(const RankView& rank, MonoTime now);
  double PrefillSeconds(const RankView& rank, const SloPrompt& prompt);
  SloDecoding DecodingOn(const RankView& rank);
  double GapSeconds(const RankView& rank, const SloDecoding& decoding);

 private:
  struct Fits {
    PrefillFit prefill;
    DecodeFit decode;
  };
  struct Pending {
    uint64_t stream = 0;
    double seconds = 0, tokens = 0;
    MonoTime placed{};
  };
  struct Rank {
    WorkerRole role = WorkerRole::kUnknown;
    std::shared_ptr<Fits> fits, prefill_role;  // of its role, of prefill ranks; null: never looked at
    std::deque<Pending> pending;               // own prompts without a first token
    double pending_s = 0, pending_tokens = 0;
    double others_tokens = 0;  // of prompts that other routers placed
    MonoTime last_first = absl::InfinitePast();
    double streams = 0, context = 0;  // own, placed here to decode
    double reported_streams = 0, reported_context = 0;
    RankSpeed prefill_speed, decode_speed;
  };
  struct Stream {
    RankRef computes, decodes;
    SloPrompt prompt;
    double context = 0;
    bool first_token = false;
  };
  using Key = std::pair<uint64_t, uint32_t>;
  static Key KeyOf(RankRef ref) { return {ref.worker, ref.rank}; }
  Rank& Of(const RankView& view);
  std::shared_ptr<Fits> FitsOf(WorkerRole role, const std::string& fingerprint);
  static double PrefillSeconds(const Rank& rank, const SloPrompt& prompt);
  static SloDecoding DecodingOn(const Rank& rank);
  void Placed(const StreamPlaced& event);
  void FirstToken(const StreamFirstToken& event);
  void Tokens(const StreamTokens& event);
  void Ended(uint64_t stream);
  void Unqueue(RankRef ref, uint64_t stream);

  absl::flat_hash_map<Key, Rank> ranks_;
  absl::flat_hash_map<uint64_t, Stream> streams_;
  // By role and fingerprint: ranks that compute alike.
  absl::flat_hash_map<std::pair<int, std::string>, std::shared_ptr<Fits>> fits_;
  uint64_t placing_stream_ = 0;
  SloPrompt placing_;
};

}  // namespace baton::router
