#pragma once

// Carries out one StreamSession's actions: places, calls workers, brings their messages back to the stream's
// strand.
//
// Everything runs on the strand but the workers' callbacks, which only post to it. Dropping the driver
// cancels its calls.

#include <array>
#include <deque>
#include <functional>
#include <memory>
#include <optional>
#include <string>
#include <vector>

#include "absl/strings/str_cat.h"
#include "common/clock.h"
#include "services/router/policy/stream_session.h"
#include "services/router/registry/registry.h"
#include "services/router/rpc/generate_spec.h"
#include "services/router/rpc/worker_calls.h"
#include "services/router/serve/stream_table.h"

namespace baton::router {

struct Cluster {
  Registry* registry = nullptr;
  WorkerCalls* calls = nullptr;
  const Clock* clock = nullptr;
  StreamTable* streams = nullptr;
};

// Where a stream begins that another router may have had before (serve/resume_plan.h).
struct StreamStart {
  uint32_t claim = 1;
  std::vector<TokenId> emitted;
  std::optional<RankRef> live;  // where it may still run
  std::string fingerprint;      // of whoever generated `emitted`
};

struct StreamEnd {
  StreamFinish finish = StreamFinish::kNone;  // kNone: failed, or quietly if status is ok
  absl::Status status;
};

class StreamListener {
 public:
  virtual ~StreamListener() = default;
  virtual void OnStreamToken(uint32_t choice, const StreamToken& token) = 0;
  virtual void OnStreamDeadline() = 0;  // the session's NextDeadline may have changed
  virtual void OnStreamEnd(uint32_t choice, const StreamEnd& end) = 0;  // once, last
};

class StreamDriver final : public MovableStream, public std::enable_shared_from_this<StreamDriver> {
 public:
  using Post = std::function<void(std::function<void()>)>;

  StreamDriver(const Cluster& cluster, const SessionConfig& config, MonoTime deadline, uint32_t choice,
               GenerateSpec spec, std::weak_ptr<StreamListener> listener, Post post, StreamStart start = {});

  ~StreamDriver() override;
  void Start();
  // Any thread.
  void RequestMove(RankRef target, MoveDone done) override;
  void WorkerSilent(uint64_t worker) override;
  void StopStringFound() { Execute(session_.StopStringFound()); }
  void ClientGone() { Execute(session_.ClientGone()); }
  void ReaderTooSlow() { Execute(session_.ReaderTooSlow()); }
  void ShutDown() { Execute(session_.ShutDown()); }
  void Tick() { Execute(session_.Tick(Now())); }

  const StreamSession& session() const { return session_; }
  // Of the last placement.
  const std::string& fingerprint() const { return fingerprint_; }
  bool inexact() const { return inexact_; }  // its two workers compute other numbers
  // "prefill-0, decode-1": where it is placed now; empty: nowhere.
  std::string workers() const {
    return absl::StrCat(placed_.prefill ? placed_.prefill->worker_name + ", " : "",
                        placed_.decode.worker_name);
  }
  // HolderTags of the workers that keep its record.
  std::array<uint32_t, 2> holders() const;

 private:
  MonoTime Now() const { return cluster_.clock->Now(); }
  void Execute(SessionActions actions);
  void Do(const Place& place);
  void Do(const OpenDecode& open);
  void Do(const OpenPrefill& open);
  void Do(const OpenShare& open);
  void Do(const OpenFetch& open);
  void Do(const CancelMove& cancel);
  void Do(const MoveEnded& ended);
  void Do(const CancelDecode& cancel);
  void Do(const CancelPrefill& cancel);
  void Do(const EmitToken& emit);
  void Do(const Finish& finish);
  void Do(const Fail& fail);
  void Do(const EndQuietly& end);
  void End(const StreamEnd& end);
  template <typename Message>
  void NoteCall(uint64_t worker, const Message& message);
  void OnDecode(Attempt attempt, const DecodeMessage& message);
  void OnPrefill(Attempt attempt, const PrefillMessage& message);
  void OnShare(uint32_t round, const ShareMessage& message);
  void OnFetch(uint32_t round, const FetchMessage& message);
  // Asks the worker where the stream runs, instead of a place. False: it can't be asked.
  bool PlaceAtLive(Attempt attempt);
  void OpenResume(const OpenDecode& open);
  // The decode call will end without having finished: its worker is told, or it would wait for another
  // router.
  void StopDecode(const std::string& endpoint, Attempt attempt);
  void KeepElsewhere();
  void BeginMove(RankRef target, MoveDone done);
  void Publish();
  MoveParameters Moving(uint32_t round, RankRef target, const std::vector<TokenId>& emitted) const;
  // A callback for a call, which brings its messages to `handle` on the strand.
  template <typename Message, typename Key>
  std::function<void(Message)> ToStrand(Key key, void (StreamDriver::*handle)(Key, const Message&));
  CallParameters Parameters(Attempt attempt, RankRef target, const std::vector<TokenId>& emitted) const;

  const Cluster cluster_;
  const MonoTime deadline_;
  const uint32_t choice_;
  const GenerateSpec spec_;
  const std::weak_ptr<StreamListener> listener_;
  const Post post_;
  StreamSession session_;
  std::deque<SessionAction> actions_;
  bool executing_ = false;
  PlacedStream placed_;
  std::string fingerprint_;
  bool inexact_ = false;
  std::optional<RankRef> live_;  // to be asked first
  bool resuming_ = false;        // the placement under way is that
  bool decode_over_ = false;     // the current decode call has finished or ended
  uint32_t kept_by_ = 0;         // HolderTag
  std::shared_ptr<Call> decode_;
  std::shared_ptr<Call> prefill_;
  // Of a move under way.
  const Id128 move_id_ = RandomId128();
  std::optional<PlacedRank> target_;
  MoveDone move_done_;
  std::shared_ptr<Call> share_, fetch_;
  std::shared_ptr<Call> next_decode_;  // of the attempt at the target
  Attempt next_attempt_;
  StreamTable::Entry entry_;
};

template <typename Message, typename Key>
std::function<void(Message)> StreamDriver::ToStrand(Key key,
                                                    void (StreamDriver::*handle)(Key, const Message&)) {
  return [weak = weak_from_this(), post = post_, key, handle](Message message) {
    post([weak, key, handle, message = std::move(message)] {
      if (auto self = weak.lock()) ((*self).*handle)(key, message);
    });
  };
}

}  // namespace baton::router
