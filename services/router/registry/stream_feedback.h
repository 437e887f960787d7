#pragma once

// What a placed stream tells the policy that placed it: each thing once, tokens some at a time. Ends by
// itself as refused when it is dropped unfinished. Move-only, for one strand; must not outlive the registry.

#include <cstdint>
#include <utility>

#include "common/clock.h"
#include "services/router/policy/placement.h"

namespace baton::router {

class Registry;

class StreamFeedback {
 public:
  StreamFeedback() = default;
  StreamFeedback(Registry* registry, uint64_t stream, RankRef decode)
      : registry_(registry), stream_(stream), decode_(decode) {}
  StreamFeedback(StreamFeedback&& other) noexcept { *this = std::move(other); }
  StreamFeedback& operator=(StreamFeedback&& other) noexcept;
  ~StreamFeedback();

  // A token has come, of a prompt of which so much was cached where it was computed.
  void Token(uint32_t cached_tokens, MonoTime now);
  // It decodes elsewhere from now on.
  void Moved(RankRef decode, MonoTime now);
  void Finished(MonoTime now);

 private:
  void TellTokens(MonoTime now);
  void End();
  Registry* registry_ = nullptr;
  uint64_t stream_ = 0;
  RankRef decode_;
  uint32_t tokens_ = 0;  // in all
  uint32_t told_ = 0;
  MonoTime last_{};  // token
  MonoTime told_at_{};
};

}  // namespace baton::router
