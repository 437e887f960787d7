#pragma once

// Short names for a session's tests: actions as a line of words.

#include <string>

#include "absl/strings/str_cat.h"
#include "services/router/policy/stream_session.h"

namespace baton::router {

inline const MonoTime kStart = absl::UnixEpoch();
inline constexpr RankRef kDecodeRank{1, 0};
inline constexpr RankRef kPrefillRank{2, 0};
inline constexpr Epoch kEpoch{7, 7};
inline constexpr TokenId kEos = 9999;

inline StreamToken Token(uint32_t position, TokenId token) {
  return {.position = position, .token = token};
}

struct Describe {
  std::string operator()(const Place& a) const {
    return absl::StrCat("place", a.attempt.n, "-", a.avoid.size());
  }
  std::string operator()(const OpenDecode& a) const {
    return absl::StrCat("decode", a.attempt.n, a.source ? "-split" : "", a.moved ? "-moved" : "");
  }
  std::string operator()(const OpenPrefill& a) const { return absl::StrCat("prefill", a.attempt.n); }
  std::string operator()(const OpenShare& a) const { return absl::StrCat("share", a.round); }
  std::string operator()(const OpenFetch& a) const { return absl::StrCat("fetch", a.round, "x", a.tokens); }
  std::string operator()(const CancelMove& a) const { return absl::StrCat("-move", a.round); }
  std::string operator()(const MoveEnded& a) const {
    return absl::StrCat("moved", static_cast<int>(a.status.code()));
  }
  std::string operator()(const CancelDecode& a) const { return absl::StrCat("-decode", a.attempt.n); }
  std::string operator()(const CancelPrefill& a) const { return absl::StrCat("-prefill", a.attempt.n); }
  std::string operator()(const EmitToken& a) const { return absl::StrCat("emit", a.token.token); }
  std::string operator()(const Finish& a) const { return absl::StrCat("finish", static_cast<int>(a.reason)); }
  std::string operator()(const Fail& a) const {
    return absl::StrCat("fail", static_cast<int>(a.status.code()));
  }
  std::string operator()(const EndQuietly&) const { return "quiet"; }
};

inline std::string Words(const SessionActions& actions) {
  std::string words;
  for (const SessionAction& action : actions)
    absl::StrAppend(&words, words.empty() ? "" : " ", std::visit(Describe(), action));
  return words;
}

// A session brought to the point where attempt 1 runs.
struct SessionAt {
  explicit SessionAt(SessionConfig config = {}, MonoTime deadline = absl::InfiniteFuture(),
                     uint32_t max_tokens = 0)
      : session(config, {.stream = {3, 3},
                         .claim = 1,
                         .deadline = deadline,
                         .max_tokens = max_tokens,
                         .stop_tokens = {kEos}}) {}

  Attempt attempt() const { return session.attempt(); }
  std::string Place(bool split, bool inexact = false) {
    Placement placement{.decode = kDecodeRank, .inexact = inexact};
    if (split) placement.prefill = kPrefillRank;
    return Words(session.Placed(attempt(), placement, kStart));
  }
  std::string Accept() { return Words(session.DecodeAccepted(attempt(), kEpoch, 0, kStart)); }
  void Run(bool split) {
    session.Start(kStart);
    Place(split);
    Accept();
  }

  StreamSession session;
};

}  // namespace baton::router
