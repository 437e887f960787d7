// What becomes of pulls whose connection breaks.

#include <vector>

#include "absl/strings/str_cat.h"
#include "services/kv_transfer/handoff/reader.h"

namespace baton {

std::vector<HandoffId> HandoffReader::PullsOver(PeerId peer) const {
  std::vector<HandoffId> over;
  for (const auto& [id, pull] : pulls_) {
    if (pull.peer() == peer && pull.state() != ReaderState::kFencing) over.push_back(id);
  }
  return over;
}

void HandoffReader::OnPeerBack(PeerId peer, MonoTime now, ReaderActions* out) {
  for (const HandoffId& id : PullsOver(peer)) {
    Pull& pull = pulls_.at(id);
    (pull.AwaitsAnswer() ? pull.next_request : pull.next_renew) = now;
    Tick(pull, now, out);
    File(id);
  }
}

void HandoffReader::OnPeerGone(PeerId peer, absl::string_view why, MonoTime now, ReaderActions* out) {
  const std::vector<HandoffId> over = PullsOver(peer);
  if (!over.empty()) ++counters_.owners_gone;
  for (const HandoffId& id : over)
    Lose(pulls_.at(id), absl::UnavailableError(absl::StrCat("the owner is gone: ", why)), now, out);
  PumpReads(now, out);
}

}  // namespace baton
