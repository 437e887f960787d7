#include "services/kv_transfer/transport/peer_link.h"

#include <spdlog/spdlog.h>

#include <algorithm>
#include <utility>

#include "absl/strings/str_cat.h"
#include "absl/strings/str_format.h"

namespace baton {
namespace {

constexpr uint32_t kInlineProbeBytes = 256 << 10;
constexpr int kTrips = 3;  // likewise
constexpr absl::Duration kPingEvery = absl::Milliseconds(200), kPingBusy = absl::Milliseconds(20);
constexpr size_t kMaxWaiting = 1024;
constexpr absl::Duration kFirstWait = absl::Milliseconds(100);

}  // namespace

WireResult PeerLink::Post(ReadBatch batch) {
  trip_disturbed_ = true;
  if (path_ != nullptr && path_->broken()) Broke();
  if (state_ == State::kFailed && host_->Now() >= look_again_) state_ = State::kNew;
  if ((state_ == State::kReady || state_ == State::kFailed) && OfAnotherLife(batch)) {
    Renew();
    lost_.reset();
    wait_ = absl::ZeroDuration();
  }
  if (MayReturn()) LookForBetter();
  if (state_ == State::kReady && path_ == nullptr) return host_->PostInline(std::move(batch));
  if (state_ == State::kReady) {
    const uint64_t tag = batch.tag;
    const WireResult result = path_->Post(std::move(batch));
    if (result == WireResult::kOk) posted_.push_back(tag);
    return result;
  }
  if (waiting_.size() >= kMaxWaiting) return WireResult::kBusy;
  waiting_.push_back(std::move(batch));
  return WireResult::kOk;
}

void PeerLink::Broke() {
  if (state_ == State::kReady && !lost_.has_value()) lost_ = kind_;
  Renew();
}

void PeerLink::Renew() {
  state_ = State::kNew;
  look_.reset();
}

absl::Duration PeerLink::NextWait() const {
  return std::min(std::max(kFirstWait, 2 * wait_), host_->options().look_again);
}

bool PeerLink::OfAnotherLife(const ReadBatch& batch) const {
  if (batch.remote_key == remote_key_) return false;
  const auto key = DecodeWireKey(batch.remote_key);
  return (key.ok() ? key->process : Id128()) != process_;
}

std::deque<WireChoice> PeerLink::Ways() const {
  using enum WireChoice;
  if (host_->options().choice != kAuto) return {host_->options().choice};
  if (host_->options().encrypted()) return {kShm, kUcx, kZmq};
  return {kShm, kUcx, kTcp, kZmq};
}

void PeerLink::Choose(const std::string& remote_key) {
  using enum WireChoice;
  const WireChoice asked = host_->options().choice;
  const auto key = DecodeWireKey(remote_key);
  remote_key_ = remote_key;
  process_ = key.ok() ? key->process : Id128();
  tried_.clear();
  gbps_ = 0;
  if (!key.ok()) {
    if (asked != kAuto && asked != kZmq) {
      return Fail(absl::FailedPreconditionError(
          absl::StrCat("--kv_wire=", WireChoiceName(asked), ", and the peer speaks only ZeroMQ")));
    }
    kind_ = kZmq;
    if (host_->options().min_gbps <= 0) return Ready();
    return Fail(absl::FailedPreconditionError("--kv_min_gbps, and the peer cannot be measured"));
  }
  untried_ = Ways();
  while (!untried_.empty()) {
    const WireChoice kind = untried_.front();
    untried_.pop_front();
    if (Try(kind, *key)) return;
  }
  Fail(absl::FailedPreconditionError(
      absl::StrCat("--kv_wire=", WireChoiceName(asked), " does not reach ", endpoint_, ": ", tried_)));
}

bool PeerLink::Try(WireChoice kind, const WireKey& key) {
  kind_ = kind;
  path_.reset();
  if (kind != WireChoice::kZmq) {
    auto path = host_->Open(kind, key, remote_key_, endpoint_);
    if (!path.ok()) {
      absl::StrAppend(&tried_, tried_.empty() ? "" : "; ", WireChoiceName(kind), ": ",
                      path.status().message());
      return false;
    }
    path_ = *std::move(path);
  }
  state_ = State::kProbing;
  probes_left_ = kProbes;
  probe_bytes_ = kind == WireChoice::kZmq ? kInlineProbeBytes : std::min<size_t>(kProbeBytes, key.bytes);
  probe_until_ = host_->Now() + host_->options().probe_timeout;
  StartProbe();
  return true;
}

void PeerLink::StartProbe() {
  --probes_left_;
  probe_tag_ = host_->NewTag();
  probe_begun_ = host_->Now();
  asked_ = false;
  if (path_ == nullptr) return SendPing();
  if (path_->Probe(probe_tag_, remote_key_, probe_bytes_) != WireResult::kOk)
    ProbeDone(absl::UnavailableError("the probe could not be sent"));
}

void PeerLink::SendPing() {
  const MonoTime now = host_->Now();
  const WireResult result = host_->Ping(peer_, probe_tag_, static_cast<uint32_t>(probe_bytes_));
  if (result == WireResult::kGone) return ProbeDone(absl::UnavailableError("the probe could not be sent"));
  const bool sent = result == WireResult::kOk;
  if (sent && !asked_) probe_begun_ = now;
  asked_ |= sent;
  ask_again_ = now + (sent ? kPingEvery : kPingBusy);
}

void PeerLink::ProbeDone(const absl::Status& status) {
  probe_tag_ = 0;
  // Messages are how we know of the peer at all: that none came back in time says nothing against them.
  if (!status.ok() && path_ == nullptr && host_->options().min_gbps <= 0) return Ready();
  if (!status.ok()) {
    absl::StrAppend(&tried_, tried_.empty() ? "" : "; ", WireChoiceName(kind_), ": ", status.message());
    const auto key = DecodeWireKey(remote_key_);
    while (key.ok() && !untried_.empty()) {
      const WireChoice next = untried_.front();
      untried_.pop_front();
      if (Try(next, *key)) return;
    }
    return Fail(absl::FailedPreconditionError(absl::StrCat(
        "--kv_wire=", WireChoiceName(host_->options().choice), " does not reach ", endpoint_, ": ", tried_)));
  }
  const double seconds = std::max(1e-9, absl::ToDoubleSeconds(host_->Now() - probe_begun_));
  gbps_ = std::max(gbps_, static_cast<double>(probe_bytes_) / seconds / 1e9);
  if (probes_left_ > 0) return StartProbe();
  if (gbps_ >= host_->options().min_gbps) return Ready();
  Fail(absl::FailedPreconditionError(
      absl::StrFormat("%s to %s moves %.2f GB/s, and --kv_min_gbps asks for %.2f%s%s", WireChoiceName(kind_),
                      endpoint_, gbps_, host_->options().min_gbps, tried_.empty() ? "" : "; ", tried_)));
}

void PeerLink::Ready() {
  state_ = State::kReady;
  if (lost_.has_value() && kind_ <= *lost_) lost_.reset();  // from the best to the last
  wait_ = lost_.has_value() ? NextWait() : absl::ZeroDuration();
  look_again_ = host_->Now() + wait_;
  MeasureTrips();
  spdlog::info("kv wire to {}: {}, {}{}", endpoint_, std::string(WireChoiceName(kind_)),
               gbps_ > 0 ? absl::StrFormat("%.2f GB/s", gbps_) : "not measured",
               tried_.empty() ? "" : absl::StrCat("; not ", tried_));
}

void PeerLink::MeasureTrips() {
  changed_ = true;
  round_trip_ = absl::InfiniteDuration();
  trip_nonce_ = 0;
  trips_left_ = process_.empty() ? 0 : kTrips;
}

void PeerLink::OnLane(bool up) {
  lane_ = up;
  if (state_ == State::kReady) MeasureTrips();
}

void PeerLink::StartTrip() {
  trip_disturbed_ = false;
  trip_begun_ = host_->Now();
  trip_nonce_ = host_->NewTag();
  (void)host_->Ping(peer_, trip_nonce_, 0);
}

void PeerLink::Fail(absl::Status why) {
  spdlog::error("kv wire: {}", std::string(why.message()));
  state_ = State::kFailed;
  changed_ = true;
  path_.reset();
  why_ = std::move(why);
  wait_ = NextWait();
  look_again_ = host_->Now() + wait_;
}

void PeerLink::OnPong(uint64_t nonce) {
  if (nonce == 0) return;
  if (nonce == trip_nonce_) {
    trip_nonce_ = 0;
    if (trip_disturbed_) return;
    round_trip_ = std::min(round_trip_, host_->Now() - trip_begun_);
    changed_ = true;
    if (--trips_left_ > 0) return StartTrip();
    spdlog::info("kv wire to {}: round trip {} over {}", endpoint_, absl::FormatDuration(round_trip_),
                 lane_ ? "a lane" : "zmq");
  } else if (nonce == probe_tag_ && state_ == State::kProbing && path_ == nullptr) {
    ProbeDone(absl::OkStatus());
  }
}

void PeerLink::Drop(const absl::Status& status, std::vector<ReadDone>* done) {
  path_.reset();
  for (const uint64_t tag : std::exchange(posted_, {})) done->push_back({tag, status});
}

bool PeerLink::Progress(std::vector<ReadDone>* done) {
  bool more = ProgressLeft(done);
  more |= ProgressLook();
  if (path_ != nullptr) {
    std::vector<ReadDone> over;
    more |= path_->Progress(&over);
    for (ReadDone& read : over) {
      if (read.tag == probe_tag_ && state_ == State::kProbing) {
        more = true;
        ProbeDone(read.status);
      } else if (std::erase(posted_, read.tag) != 0) {
        done->push_back(std::move(read));
      }
    }
    if (path_ != nullptr && path_->broken()) {
      if (state_ == State::kProbing) ProbeDone(absl::UnavailableError("the connection broke"));
      if (state_ == State::kReady) {
        Broke();
        Drop(absl::UnavailableError("the connection broke"), done);
      }
    }
  }
  if (state_ == State::kProbing && host_->Now() >= probe_until_)
    ProbeDone(absl::UnavailableError("no answer to the probe"));
  if (state_ == State::kProbing && path_ == nullptr && host_->Now() >= ask_again_) SendPing();
  if (state_ == State::kNew && !waiting_.empty()) {
    Drop(absl::UnavailableError("the connection was made anew"), done);
    Choose(waiting_.front().remote_key);
    more = true;
  }
  while (!waiting_.empty() && (state_ == State::kReady || state_ == State::kFailed)) {
    if (OfAnotherLife(waiting_.front())) {
      Renew();
      return true;
    }
    ReadBatch batch = std::move(waiting_.front());
    waiting_.pop_front();
    const uint64_t tag = batch.tag;
    absl::Status status = why_;
    if (state_ == State::kReady) {
      const WireResult result = Post(std::move(batch));
      if (result == WireResult::kOk) continue;
      status = absl::ResourceExhaustedError("the wire is busy");
    }
    done->push_back({tag, status});
  }
  const bool idle = state_ == State::kReady && !more && waiting_.empty() && posted_.empty();
  if (idle && trips_left_ > 0 && trip_nonce_ == 0) StartTrip();
  return more;
}

void PeerLink::Abort(uint64_t tag, std::vector<ReadDone>* done) {
  const auto held = std::find_if(waiting_.begin(), waiting_.end(),
                                 [&](const ReadBatch& batch) { return batch.tag == tag; });
  if (held != waiting_.end()) {
    waiting_.erase(held);
    done->push_back({tag, absl::CancelledError("aborted")});
    return;
  }
  if (path_ != nullptr) path_->Abort(tag);
  if (left_ != nullptr) left_->Abort(tag);
}

void PeerLink::Close(std::vector<ReadDone>* done) {
  look_.reset();
  DropLeft(absl::CancelledError("disconnected"), done);
  Drop(absl::CancelledError("disconnected"), done);
  for (const ReadBatch& batch : std::exchange(waiting_, {}))
    done->push_back({batch.tag, absl::CancelledError("disconnected")});
}

WireLink PeerLink::facts() const {
  const absl::Duration trip = round_trip_ == absl::InfiniteDuration() ? absl::ZeroDuration() : round_trip_;
  const std::string messages = lane_ ? "lane" : "zmq";
  if (state_ == State::kReady) return {endpoint_, std::string(WireChoiceName(kind_)), gbps_, trip, messages};
  return {endpoint_, state_ == State::kFailed ? "none" : "", 0, trip, messages};
}

}  // namespace baton
