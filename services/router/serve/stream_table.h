#pragma once

// The streams that are open at this router: what others may see of each, and a way to ask for its move.
// Thread-safe.

#include <functional>
#include <memory>
#include <string>
#include <vector>

#include "absl/base/thread_annotations.h"
#include "absl/container/flat_hash_map.h"
#include "absl/status/status.h"
#include "absl/synchronization/mutex.h"
#include "common/ids.h"
#include "services/router/policy/placement.h"

namespace baton::router {

// Called once, on any thread, perhaps at once; must not block. Ok: the stream decodes at the target.
using MoveDone = std::function<void(absl::Status)>;

class MovableStream {
 public:
  virtual ~MovableStream() = default;
  virtual void RequestMove(RankRef target, MoveDone done) = 0;
  // A worker of the stream has fallen silent, and another could go on with it.
  virtual void WorkerSilent(uint64_t worker) = 0;
};

struct StreamView {
  RankRef at;                   // where it decodes
  uint64_t prefill_worker = 0;  // 0: none
  std::string worker;
  uint32_t prompt_tokens = 0;
  uint32_t tokens = 0;  // emitted
  absl::Status movable = absl::FailedPreconditionError("the stream has not been placed yet");
};

class StreamTable {
 private:
  struct Card {
    explicit Card(std::weak_ptr<MovableStream> stream_in) : stream(std::move(stream_in)) {}
    const std::weak_ptr<MovableStream> stream;
    absl::Mutex mutex;
    StreamView view ABSL_GUARDED_BY(mutex);
  };

 public:
  // A stream's place in the table, given up when dropped. Move-only. Must not outlive the table.
  class Entry {
   public:
    Entry() = default;
    Entry(StreamTable* table, StreamId id, std::shared_ptr<Card> card);
    Entry(Entry&& other) noexcept;
    Entry& operator=(Entry&& other) noexcept;
    ~Entry();
    void Set(StreamView view);

   private:
    StreamTable* table_ = nullptr;
    StreamId id_;
    std::shared_ptr<Card> card_;
  };

  Entry Add(StreamId id, std::weak_ptr<MovableStream> stream);
  // In order of id.
  std::vector<std::pair<StreamId, StreamView>> List() const;
  // `done` gets NotFound if no such stream is open here.
  void Move(StreamId id, RankRef target, MoveDone done);
  // Tells the streams that this worker serves.
  void WorkerSilent(uint64_t worker);

 private:
  mutable absl::Mutex mutex_;
  absl::flat_hash_map<StreamId, std::shared_ptr<Card>> cards_ ABSL_GUARDED_BY(mutex_);
};

}  // namespace baton::router
