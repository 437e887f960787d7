#pragma once

// A real baton-kv process, and a stand-in for a worker that stores blocks of known content into it and
// fetches them again, by the real client and handoff.

#include <sys/types.h>

#include <map>
#include <memory>
#include <optional>
#include <string>
#include <vector>

#include "absl/base/thread_annotations.h"
#include "common/mutex.h"
#include "common/shared_memory.h"
#include "services/kv_transfer/handoff/node.h"
#include "services/worker/pool_client.h"

namespace baton {

inline constexpr KvLayout kPoolTestLayout{.layers = 4, .kv_heads = 2, .head_dim = 64};

class PoolProcess {
 public:
  PoolProcess(std::string folder, std::vector<std::string> flags);
  ~PoolProcess();
  void Start();
  void Signal(int signal);
  // And waits for its end; the exit status.
  int Kill(int signal);
  const std::string& grpc() const { return grpc_; }
  std::string log() const;

 private:
  const std::string folder_;
  const std::vector<std::string> flags_;
  pid_t pid_ = 0;
  std::string grpc_;
};

// Prompts are numbers; block i of prompt p has bytes that follow from its name alone.
PoolRun TestRun(uint64_t prompt, size_t blocks, uint64_t salt = 1);
std::vector<std::byte> TestPage(const BlockHash& block);

class FakeWorker final : public KvMemory, public HandoffEventSink {
 public:
  explicit FakeWorker(const std::string& pool, const std::string& fingerprint = "test weights");
  ~FakeWorker() override;

  // Until the pool answers.
  bool Attach();
  PoolClient& client() { return *client_; }
  const Clock& clock() const { return clock_; }

  // Blocks that the pool took, and held.
  uint32_t Store(const PoolRun& run, bool wait = true);
  // Blocks that came and were held; every byte of them is compared.
  uint32_t Fetch(const PoolRun& run);
  uint64_t wrong_blocks() const { return wrong_blocks_; }

  // KvMemory
  const KvLayout& layout() const override { return kPoolTestLayout; }
  uint32_t ranks() const override { return 1; }
  int64_t pages(uint32_t) const override { return kPages; }
  absl::Span<std::byte> Page(uint32_t, PageId page) override {
    return memory_->span().subspan(kPoolTestLayout.PageBytes() * page, kPoolTestLayout.PageBytes());
  }
  // HandoffEventSink
  void OnHandoffEvent(HandoffEvent event) override;

 private:
  static constexpr int64_t kPages = 64;
  // How the handoff ended: held, or not; nullopt: not within the time.
  std::optional<bool> Await(const Id128& handoff, absl::Duration longest);

  const SteadyClock clock_;
  std::unique_ptr<SharedMemory> memory_;
  std::unique_ptr<HandoffNode> node_;
  std::unique_ptr<PoolClient> client_;
  uint64_t wrong_blocks_ = 0;
  Mutex mutex_;
  std::map<Id128, bool> ended_ ABSL_GUARDED_BY(mutex_);
};

}  // namespace baton
