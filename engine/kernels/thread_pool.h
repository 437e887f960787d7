#pragma once

// A fixed set of threads for parallel loops of a few microseconds. Idle threads spin briefly and then sleep
// on a futex, as several workers may share the cores. A thread that is late to a loop is not waited for:
// whoever is there does the work. Which thread runs which part is not fixed, so a loop's body must not let
// its result depend on it.

#include <atomic>
#include <cstdint>
#include <thread>
#include <vector>

#include "absl/functional/function_ref.h"

namespace baton::kernels {

// Not thread-safe: one caller at a time.
class ThreadPool {
 public:
  // body(begin, end, slot): iterations [begin, end); slot in [0, threads()) is held by no other thread
  // meanwhile.
  using Body = absl::FunctionRef<void(int64_t begin, int64_t end, int slot)>;

  explicit ThreadPool(int threads);  // counts the caller; at least 1, at most 127
  ~ThreadPool();
  ThreadPool(const ThreadPool&) = delete;
  ThreadPool& operator=(const ThreadPool&) = delete;

  int threads() const { return static_cast<int>(workers_.size()) + 1; }

  // Runs the body over [0, count) in parts of `grain` and returns when all are done; their writes are then
  // visible.
  void ParallelFor(int64_t count, int64_t grain, Body body);

 private:
  struct Loop {
    Body body;
    int64_t count;
    int64_t grain;
  };

  void WorkerMain(int slot);
  void RunParts(const Loop& loop, int slot);
  uint32_t AwaitChange(uint32_t seen);

  // Generation in the high bits, then one bit "open to join", then the number of workers inside.
  std::atomic<uint32_t> state_{0};
  std::atomic<bool> stopping_{false};
  std::atomic<int64_t> next_{0};
  const Loop* loop_ = nullptr;  // published by opening state_
  std::vector<std::thread> workers_;
};

}  // namespace baton::kernels
