#pragma once

// The seam between the engine and a model on some device. Implementations: LlamaModel (CPU) and the
// simulator's fake.

#include <cstddef>
#include <cstdint>
#include <string>

#include "absl/status/status.h"
#include "absl/types/span.h"
#include "common/ids.h"
#include "common/kv_layout.h"

namespace baton {

// One sequence's part of a step: `tokens` stand at positions [start, start + tokens.size()). Keys and values
// of positions before `start` are already in `pages`; those of `tokens` are written there by the step.
// pages[i] holds positions [i * PageTokens, (i + 1) * PageTokens) and covers at least start + tokens.size()
// positions.
struct ForwardItem {
  absl::Span<const TokenId> tokens;
  int64_t start = 0;
  absl::Span<const PageId> pages;
  bool want_logits = false;  // of the last token
};

// Told on the engine's thread, within Forward, in ascending order without gaps: the keys and values of all
// items' tokens for layers [first, end) are now complete in memory and will not be written again by this
// step.
class LayerSink {
 public:
  virtual ~LayerSink() = default;
  virtual void OnLayersDone(int first_layer, int end_layer) = 0;
};

// Not thread-safe: one thread owns it. Kernels are batch-invariant: no value of an item depends on the other
// items of the step, nor on how its tokens were cut into steps (docs/exactness.md).
class ModelRunner {
 public:
  virtual ~ModelRunner() = default;

  virtual const KvLayout& kv_layout() const = 0;
  virtual int64_t page_count() const = 0;
  // First byte of a page: kv_layout().PageBytes() bytes, stable for the runner's life. Safe to read from
  // other threads where the caller knows the bytes to be complete.
  virtual std::byte* PageData(PageId page) = 0;

  virtual int vocab_size() const = 0;
  virtual int64_t max_context() const = 0;
  // Equal iff two runners mean the same by their keys and values: weights, shape, rotary parameters.
  virtual const std::string& model_id() const = 0;
  // Numeric fingerprint (DESIGN section 6): equal iff two runners compute the same bits.
  virtual const std::string& fingerprint() const = 0;

  // Runs one step. `logits` receives one row of vocab_size() floats per item with want_logits, in item order.
  // `sink` may be null. On error the contents of the items' pages from `start` on are undefined.
  virtual absl::Status Forward(absl::Span<const ForwardItem> items, LayerSink* sink,
                               absl::Span<float> logits) = 0;
};

}  // namespace baton
