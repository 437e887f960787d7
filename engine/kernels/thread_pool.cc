#include "engine/kernels/thread_pool.h"

#include <algorithm>

namespace baton::kernels {
namespace {

constexpr uint32_t kInsideMask = 0x7f;
constexpr uint32_t kOpen = 0x80;
constexpr uint32_t kGeneration = 0x100;
constexpr int kSpins = 1500;  // some 40 microseconds

void Pause() {
#if defined(__x86_64__)
  __builtin_ia32_pause();
#endif
}

}  // namespace

ThreadPool::ThreadPool(int threads) {
  const int extra = std::clamp(threads, 1, static_cast<int>(kInsideMask)) - 1;
  workers_.reserve(extra);
  for (int i = 0; i < extra; ++i) workers_.emplace_back([this, i] { WorkerMain(i + 1); });
}

ThreadPool::~ThreadPool() {
  stopping_.store(true, std::memory_order_relaxed);
  state_.fetch_add(kGeneration, std::memory_order_release);
  state_.notify_all();
  for (std::thread& worker : workers_) worker.join();
}

void ThreadPool::ParallelFor(int64_t count, int64_t grain, Body body) {
  if (count <= 0) return;
  if (workers_.empty() || count <= grain) {
    body(0, count, 0);
    return;
  }
  const Loop loop{body, count, grain};
  loop_ = &loop;
  next_.store(0, std::memory_order_relaxed);
  state_.fetch_add(kGeneration | kOpen, std::memory_order_release);
  state_.notify_all();
  RunParts(loop, 0);
  uint32_t state = state_.fetch_and(~kOpen, std::memory_order_acq_rel) & ~kOpen;
  while ((state & kInsideMask) != 0) state = AwaitChange(state);
}

void ThreadPool::RunParts(const Loop& loop, int slot) {
  for (;;) {
    const int64_t begin = next_.fetch_add(loop.grain, std::memory_order_relaxed);
    if (begin >= loop.count) return;
    loop.body(begin, std::min(begin + loop.grain, loop.count), slot);
  }
}

uint32_t ThreadPool::AwaitChange(uint32_t seen) {
  for (int i = 0; i < kSpins; ++i) {
    const uint32_t state = state_.load(std::memory_order_acquire);
    if (state != seen) return state;
    Pause();
  }
  state_.wait(seen, std::memory_order_acquire);
  return state_.load(std::memory_order_acquire);
}

void ThreadPool::WorkerMain(int slot) {
  uint32_t done = 0;  // generation of the last loop joined
  uint32_t state = state_.load(std::memory_order_acquire);
  while (!stopping_.load(std::memory_order_relaxed)) {
    const uint32_t generation = state / kGeneration;
    if ((state & kOpen) == 0 || generation == done) {
      state = AwaitChange(state);
      continue;
    }
    if (!state_.compare_exchange_weak(state, state + 1, std::memory_order_acq_rel)) continue;
    done = generation;
    RunParts(*loop_, slot);
    state = state_.fetch_sub(1, std::memory_order_acq_rel) - 1;
    state_.notify_all();
  }
}

}  // namespace baton::kernels
