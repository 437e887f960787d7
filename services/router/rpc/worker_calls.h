#pragma once

// Calls to workers: Decode, Prefill, Share, Fetch and Watch as plain data and callbacks. Thread-safe. gRPC
// stays behind this header.
//
// Callbacks of one call come one at a time, on one of this object's two threads (one for Watch and Record,
// one for all else), and must not block; the last one is the end. They may come before the function that
// opened the call has returned. Cancel never blocks; the end still comes.

#include <cstdint>
#include <functional>
#include <memory>
#include <optional>
#include <set>
#include <string>
#include <variant>
#include <vector>

#include "absl/status/status.h"
#include "absl/time/time.h"
#include "common/grpc_tls.h"
#include "common/ids.h"
#include "services/router/policy/stream_session.h"
#include "services/router/policy/worker_table.h"
#include "services/router/rpc/generate_spec.h"

namespace baton::router {

struct AcceptedMessage {
  Epoch epoch;
  uint32_t cached_tokens = 0;
};
struct TokenMessage {
  StreamToken token;
  uint32_t cached_tokens = 0;  // with the first one computed there
};
struct FinishedMessage {
  StreamFinish reason = StreamFinish::kNone;
  HandoffOutcome kv = HandoffOutcome::kUnknown;
  bool inexact = false;  // the KV was another fingerprint's
};
struct FirstTokenMessage {
  StreamToken token;
  uint32_t cached_tokens = 0;
  StreamFinish finish = StreamFinish::kNone;
};
struct HandoffMessage {
  HandoffOutcome outcome = HandoffOutcome::kUnknown;
  std::string detail;
};
struct EndedMessage {
  absl::Status status;
};
struct SharedMessage {
  uint32_t tokens = 0;
};
struct FetchedMessage {
  HandoffOutcome outcome = HandoffOutcome::kUnknown;
  uint32_t cached_tokens = 0;
  uint32_t fetched_tokens = 0;
  std::string detail;
};
// What a worker keeps of a stream.
struct RecordMessage {
  GenerateSpec spec;
  Attempt attempt;                            // the latest that it has seen
  std::vector<StreamToken> tokens;            // from position 0
  std::vector<bool> scored;                   // of each: its log-probabilities are known there
  StreamFinish finish = StreamFinish::kNone;  // not kNone: these are all tokens
  bool inexact = false;
  bool live = false;  // it runs there now,
  uint32_t rank = 0;  // at this rank
  uint32_t cached_tokens = 0;
};
using DecodeMessage = std::variant<AcceptedMessage, TokenMessage, FinishedMessage, EndedMessage>;
using PrefillMessage = std::variant<FirstTokenMessage, HandoffMessage, EndedMessage>;
using ShareMessage = std::variant<SharedMessage, HandoffMessage, EndedMessage>;
using FetchMessage = std::variant<FetchedMessage, EndedMessage>;
using RecordReply = std::variant<RecordMessage, EndedMessage>;
using WatchMessage = std::variant<WorkerReport, EndedMessage>;

struct CallParameters {
  Attempt attempt;
  std::vector<TokenId> emitted;  // appended to the prompt
  uint32_t rank = 0;
  absl::Duration timeout = absl::Seconds(600);
};
// One round of a prefix's move from rank to rank.
struct MoveParameters {
  Id128 id;
  Attempt round;
  std::vector<TokenId> tokens;
  Id128 cache_salt;
  uint32_t rank = 0;  // of the worker called
  absl::Duration timeout = absl::Seconds(15);
};
struct ResumeParameters {
  StreamId stream;
  Attempt attempt;
  Id128 principal;
  uint32_t position = 0;  // of the first token wanted
  absl::Duration timeout = absl::Seconds(600);
};
struct KvSourceRank {
  KvEndpoint kv;
  uint32_t rank = 0;
};

// Dropping the last reference cancels.
class Call {
 public:
  virtual ~Call() = default;
  virtual void Cancel() = 0;
};

struct WorkerCallsConfig {
  GrpcTlsFiles tls;  // to workers
  uint32_t max_message_bytes = 16u << 20;
  absl::Duration keepalive_interval = absl::Seconds(10);
  absl::Duration keepalive_timeout = absl::Seconds(10);
  absl::Duration watch_interval = absl::ZeroDuration();  // zero: the worker's own
};

class WorkerCalls {
 public:
  explicit WorkerCalls(const WorkerCallsConfig& config);
  ~WorkerCalls();  // Shutdown
  // Cancels every call and waits for its end; later calls end at once.
  void Shutdown();

  std::shared_ptr<Call> Decode(const std::string& endpoint, const GenerateSpec& spec,
                               const CallParameters& parameters, const std::optional<KvSourceRank>& source,
                               std::function<void(DecodeMessage)> callback);
  std::shared_ptr<Call> Prefill(const std::string& endpoint, const GenerateSpec& spec,
                                const CallParameters& parameters, RankRef reader, Epoch reader_epoch,
                                std::function<void(PrefillMessage)> callback);
  std::shared_ptr<Call> Share(const std::string& endpoint, const MoveParameters& parameters,
                              uint32_t reader_rank, Epoch reader_epoch,
                              std::function<void(ShareMessage)> callback);
  std::shared_ptr<Call> Fetch(const std::string& endpoint, const MoveParameters& parameters,
                              const KvSourceRank& source, std::function<void(FetchMessage)> callback);
  // Takes over what runs of a recorded stream; then as Decode.
  std::shared_ptr<Call> Resume(const std::string& endpoint, const ResumeParameters& parameters,
                               std::function<void(DecodeMessage)> callback);
  std::shared_ptr<Call> Record(const std::string& endpoint, StreamId stream, Id128 principal,
                               absl::Duration timeout, std::function<void(RecordReply)> callback);
  // Tell a worker, with no answer: to keep a stream's record; to end what runs of the stream under `attempt`
  // or a lower one.
  void Keep(const std::string& endpoint, const GenerateSpec& spec, Attempt attempt);
  void Stop(const std::string& endpoint, StreamId stream, Attempt attempt);
  std::shared_ptr<Call> Watch(const std::string& endpoint, std::function<void(WatchMessage)> callback);
  // Forgets the channels of all other endpoints; calls under way go on.
  void Retain(const std::set<std::string>& endpoints);

 private:
  struct Impl;
  const std::unique_ptr<Impl> impl_;
};

}  // namespace baton::router
