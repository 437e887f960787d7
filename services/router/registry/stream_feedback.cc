#include "services/router/registry/stream_feedback.h"

#include "services/router/registry/registry.h"

namespace baton::router {
namespace {

constexpr uint32_t kTokensTogether = 16;
constexpr absl::Duration kLongestSilence = absl::Seconds(1);

}  // namespace

StreamFeedback& StreamFeedback::operator=(StreamFeedback&& other) noexcept {
  if (this == &other) return *this;
  End();
  registry_ = std::exchange(other.registry_, nullptr);
  stream_ = other.stream_;
  decode_ = other.decode_;
  tokens_ = other.tokens_;
  told_ = other.told_;
  last_ = other.last_;
  told_at_ = other.told_at_;
  return *this;
}

StreamFeedback::~StreamFeedback() {
  End();
}

void StreamFeedback::End() {
  if (registry_ == nullptr) return;
  registry_->Learn(StreamRefused{stream_, decode_, registry_->Now()});
  registry_ = nullptr;
}

void StreamFeedback::Token(uint32_t cached_tokens, MonoTime now) {
  if (registry_ == nullptr) return;
  last_ = now;
  if (++tokens_ == 1) {
    registry_->Learn(StreamFirstToken{stream_, cached_tokens, now});
    told_ = 1;
    told_at_ = now;
  } else if (tokens_ - told_ >= kTokensTogether || now - told_at_ >= kLongestSilence) {
    TellTokens(now);
  }
}

void StreamFeedback::TellTokens(MonoTime now) {
  if (tokens_ == told_) return;
  registry_->Learn(StreamTokens{stream_, tokens_ - told_, last_ - told_at_, now});
  told_ = tokens_;
  told_at_ = last_;
}

void StreamFeedback::Moved(RankRef decode, MonoTime now) {
  if (registry_ == nullptr) return;
  TellTokens(now);
  decode_ = decode;
  registry_->Learn(StreamPlaced{stream_, {.decode = decode, .prefill = std::nullopt}, now});
}

void StreamFeedback::Finished(MonoTime now) {
  if (registry_ == nullptr) return;
  TellTokens(now);
  registry_->Learn(StreamFinished{stream_, tokens_, now});
  registry_ = nullptr;
}

}  // namespace baton::router
