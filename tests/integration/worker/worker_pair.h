#pragma once

// A prefill and a decode worker in this process, over real gRPC and ZeroMQ, with models made of hashes.

#include <grpcpp/grpcpp.h>

#include <atomic>
#include <functional>
#include <memory>
#include <optional>
#include <string>
#include <thread>
#include <vector>

#include "absl/synchronization/mutex.h"
#include "baton/worker.grpc.pb.h"
#include "services/worker/worker_server.h"
#include "tests/support/fake_runner.h"

namespace baton {

struct Node {
  Node(WorkerRole role, const FakeRunnerOptions& model, int64_t emission_buffer = 256,
       bool accept_inexact = false);
  ~Node();

  PageCounts pages() const;
  // Waits until the status, which is as of the last rounds of dispatcher and engines, is so; false after a
  // few seconds.
  bool Becomes(const std::function<bool(const WorkerStatus&)>& condition) const;
  // Waits until no call is open, nothing is owed and all pages are free or cached; false after a few seconds.
  bool AtRest() const;

  SteadyClock clock;
  std::vector<FakeRunner*> models;  // owned by the worker
  std::unique_ptr<Worker> worker;
  std::unique_ptr<WorkerServer> server;
  std::unique_ptr<v1::Worker::Stub> stub;
};

// What a call's client saw.
struct DecodeResult {
  std::optional<v1::Token> first;
  std::vector<int32_t> tokens;
  v1::KvOutcome kv = v1::KV_OUTCOME_UNSPECIFIED;
  v1::FinishReason reason = v1::FINISH_REASON_NONE;
  bool accepted = false, inexact = false;
  grpc::Status status;
};

// A Decode call read by a thread of its own.
class DecodeClient {
 public:
  DecodeClient(Node& node, const v1::DecodeRequest& request);
  ~DecodeClient();
  void Cancel() { context_.TryCancel(); }
  // Until `n` tokens came (0: the acceptance), or the call ended; false in the latter case, or after a few
  // seconds.
  bool WaitFor(size_t n);
  DecodeResult Join();

 private:
  void Read(v1::DecodeRequest request);

  Node& node_;
  grpc::ClientContext context_;
  absl::Mutex mutex_;
  DecodeResult result_ ABSL_GUARDED_BY(mutex_);
  bool over_ ABSL_GUARDED_BY(mutex_) = false;
  std::thread thread_;
};

struct PrefillResult {
  std::optional<int32_t> first_token;
  v1::Token first;
  uint32_t cached_tokens = 0;
  v1::KvOutcome outcome = v1::KV_OUTCOME_UNSPECIFIED;
  grpc::Status status;
};

v1::GenerateSpec MakeSpec(uint64_t stream, std::vector<int32_t> tokens, uint32_t max_tokens, uint32_t n = 0);
std::vector<int32_t> MakePrompt(uint64_t seed, size_t length, size_t shared_prefix = 0);
v1::DecodeRequest Local(const v1::GenerateSpec& spec);
v1::DecodeRequest FromOwner(const v1::GenerateSpec& spec, const Node& owner);
PrefillResult RunPrefill(Node& owner, const Node& reader, const v1::GenerateSpec& spec);
// Decode at `reader` with the prompt computed at `owner`.
DecodeResult RunSplit(Node& owner, Node& reader, const v1::GenerateSpec& spec,
                      PrefillResult* prefill = nullptr);

}  // namespace baton
