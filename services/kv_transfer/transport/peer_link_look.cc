// PeerLink's search for a better way beside the one in use. Reads never wait for it.

#include <algorithm>
#include <utility>

#include "services/kv_transfer/transport/peer_link.h"

namespace baton {

bool PeerLink::MayReturn() const {
  return state_ == State::kReady && lost_.has_value() && !look_.has_value() && left_ == nullptr &&
         host_->Now() >= look_again_;
}

void PeerLink::LookForBetter() {
  look_.emplace();
  for (const WireChoice kind : Ways()) {
    if (kind < kind_) look_->untried.push_back(kind);
  }
  NextLook();
}

void PeerLink::NextLook() {
  const auto key = DecodeWireKey(remote_key_);
  look_->path.reset();
  while (key.ok() && !look_->untried.empty()) {
    look_->kind = look_->untried.front();
    look_->untried.pop_front();
    auto path = host_->Open(look_->kind, *key, remote_key_, endpoint_);
    if (!path.ok()) continue;
    look_->path = *std::move(path);
    look_->probes_left = kProbes;
    look_->bytes = std::min<size_t>(kProbeBytes, key->bytes);
    look_->gbps = 0;
    look_->until = host_->Now() + host_->options().probe_timeout;
    if (ProbeLook()) return;
  }
  look_.reset();
  wait_ = NextWait();
  look_again_ = host_->Now() + wait_;
}

bool PeerLink::ProbeLook() {
  --look_->probes_left;
  look_->tag = host_->NewTag();
  look_->begun = host_->Now();
  return look_->path->Probe(look_->tag, remote_key_, look_->bytes) == WireResult::kOk;
}

void PeerLink::LookDone(bool ok) {
  const double seconds = std::max(1e-9, absl::ToDoubleSeconds(host_->Now() - look_->begun));
  if (ok) look_->gbps = std::max(look_->gbps, static_cast<double>(look_->bytes) / seconds / 1e9);
  if (ok && look_->probes_left > 0 && ProbeLook()) return;
  if (ok && look_->probes_left == 0 && look_->gbps >= host_->options().min_gbps) return TakeLook();
  NextLook();
}

void PeerLink::TakeLook() {
  if (!posted_.empty()) {
    left_ = std::move(path_);
    left_posted_ = std::exchange(posted_, {});
  }
  path_ = std::move(look_->path);
  kind_ = look_->kind;
  gbps_ = look_->gbps;
  tried_.clear();
  look_.reset();
  Ready();
}

bool PeerLink::ProgressLook() {
  if (!look_.has_value()) return false;
  std::vector<ReadDone> over;
  const bool more = look_->path->Progress(&over);
  const auto probe = std::ranges::find_if(over, [&](const ReadDone& read) { return read.tag == look_->tag; });
  if (probe != over.end()) {
    LookDone(probe->status.ok());
  } else if (look_->path->broken() || host_->Now() >= look_->until) {
    LookDone(false);
  } else {
    return more;
  }
  return true;
}

bool PeerLink::ProgressLeft(std::vector<ReadDone>* done) {
  if (left_ == nullptr) return false;
  std::vector<ReadDone> over;
  const bool more = left_->Progress(&over);
  for (ReadDone& read : over) {
    if (std::erase(left_posted_, read.tag) != 0) done->push_back(std::move(read));
  }
  if (left_->broken() || left_posted_.empty()) DropLeft(absl::UnavailableError("the connection broke"), done);
  return more;
}

void PeerLink::DropLeft(const absl::Status& status, std::vector<ReadDone>* done) {
  left_.reset();
  for (const uint64_t tag : std::exchange(left_posted_, {})) done->push_back({tag, status});
}

}  // namespace baton
