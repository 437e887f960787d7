// StreamDriver's part in streams that outlive their router.
#include <utility>

#include "services/router/serve/event_id.h"
#include "services/router/serve/stream_driver.h"

namespace baton::router {

bool StreamDriver::PlaceAtLive(Attempt attempt) {
  const std::optional<RankRef> live = std::exchange(live_, std::nullopt);
  if (!live) return false;
  auto rank = cluster_.registry->PlaceAt(*live, fingerprint_, 0);
  if (!rank.ok()) return false;
  placed_.placement.decode = *live;
  placed_.decode = *std::move(rank);
  placed_.fingerprint = fingerprint_;
  resuming_ = true;
  Execute(session_.Placed(attempt, placed_.placement, Now()));
  return true;
}

void StreamDriver::OpenResume(const OpenDecode& open) {
  const CallParameters parameters = Parameters(open.attempt, open.target, {});
  decode_ = cluster_.calls->Resume(placed_.decode.endpoint,
                                   {.stream = spec_.stream,
                                    .attempt = open.attempt,
                                    .principal = spec_.principal,
                                    .position = static_cast<uint32_t>(open.emitted.size()),
                                    .timeout = parameters.timeout},
                                   ToStrand(open.attempt, &StreamDriver::OnDecode));
}

void StreamDriver::StopDecode(const std::string& endpoint, Attempt attempt) {
  if (!spec_.card.empty()) cluster_.calls->Stop(endpoint, spec_.stream, attempt);
}

// A prefill worker has the record too; where there is none, another worker gets it.
void StreamDriver::KeepElsewhere() {
  const bool kept = kept_by_ != 0 && kept_by_ != HolderTag(placed_.decode.kv.epoch);
  if (spec_.card.empty() || placed_.prefill || kept) return;
  const std::optional<Bystander> other = cluster_.registry->Other(placed_.decode.ref.worker);
  if (!other) return;
  kept_by_ = HolderTag(other->epoch);
  cluster_.calls->Keep(other->endpoint, spec_, session_.attempt());
}

std::array<uint32_t, 2> StreamDriver::holders() const {
  const auto tag = [](const PlacedRank& rank) {
    return rank.kv.epoch.empty() ? 0 : HolderTag(rank.kv.epoch);
  };
  return {tag(placed_.decode), placed_.prefill ? tag(*placed_.prefill) : kept_by_};
}

}  // namespace baton::router
