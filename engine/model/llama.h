#pragma once

// The Llama architecture (Touvron et al. 2023, arXiv 2302.13971) on the CPU: RMS norm, rotary embedding on
// adjacent pairs, grouped-query attention over paged KV, SiLU-gated feed-forward. Activations are float32
// throughout; the KV cache is rounded to its dtype when written, and a step reads its own keys and values
// back as stored.

#include <cstddef>
#include <cstdint>
#include <functional>
#include <memory>
#include <string>
#include <vector>

#include "absl/status/status.h"
#include "absl/status/statusor.h"
#include "absl/types/span.h"
#include "engine/formats/gguf.h"
#include "engine/kernels/huge_buffer.h"
#include "engine/kernels/kernels.h"
#include "engine/kernels/thread_pool.h"
#include "engine/model/llama_weights.h"
#include "engine/model/paged_attention.h"
#include "engine/model/runner.h"

namespace baton {

struct LlamaOptions {
  int threads = 1;  // counting the caller of Forward
  int64_t page_count = 0;
  int atoms_per_page = 1;
  KvDtype kv_dtype = KvDtype::kF16;
  int64_t max_batch_tokens = 512;  // of one step, over all items; bounds the scratch memory
  int64_t max_context = 0;         // at most this many positions; 0: the file's context length
  int layer_group = 1;             // the sink is told after every so many layers
  kernels::Isa isa = kernels::BestIsa();
  // Where the pages lie: zeroed memory of so many bytes, aligned for a page of the machine, that outlives the
  // model. None: memory of its own.
  std::function<absl::StatusOr<absl::Span<std::byte>>(size_t bytes)> kv_memory;
};

class LlamaModel : public ModelRunner {
 public:
  static absl::StatusOr<std::unique_ptr<LlamaModel>> Load(const GgufFile& file, const LlamaOptions& options);
  // Shares weights with other ranks of the process; options.max_context was given when they were loaded.
  static absl::StatusOr<std::unique_ptr<LlamaModel>> Create(std::shared_ptr<const LlamaWeights> weights,
                                                            const LlamaOptions& options);

  const KvLayout& kv_layout() const override { return layout_; }
  int64_t page_count() const override { return options_.page_count; }
  std::byte* PageData(PageId page) override {
    return kv_.data() + static_cast<size_t>(page) * layout_.PageBytes();
  }
  int vocab_size() const override { return weights_->config.vocab; }
  int64_t max_context() const override { return weights_->config.max_context; }
  const std::string& model_id() const override { return weights_->model_id; }
  const std::string& fingerprint() const override { return fingerprint_; }
  absl::Status Forward(absl::Span<const ForwardItem> items, LayerSink* sink,
                       absl::Span<float> logits) override;

  const ModelConfig& config() const { return weights_->config; }
  // All pages, one after the other: one range to register with a transport.
  absl::Span<std::byte> kv_memory() const { return kv_; }

 private:
  // One token of the step.
  struct Row {
    TokenId token;
    int64_t position;
    std::byte* page;
  };
  // The step's activations, [max_batch_tokens] rows each.
  struct Activations {
    float *x, *normed;    // [hidden]
    float *q, *attended;  // [heads * head_dim]
    float *k, *v;         // [kv_heads * head_dim]
    float *gate, *up;     // [ffn]
  };
  struct Product {
    const kernels::PackedMatrix* w;
    float* y;
  };

  LlamaModel(std::shared_ptr<const LlamaWeights> weights, const LlamaOptions& options);
  absl::Status Allocate();
  absl::Status Check(absl::Span<const ForwardItem> items, size_t logits) const;
  absl::Status CheckItem(const ForwardItem& item) const;
  void Lay(absl::Span<const ForwardItem> items);
  void Embed();
  void Norm(const std::vector<float>& weight);
  // y = W x (or y += W x) for every product, all of the same x.
  void Multiply(absl::Span<const Product> products, const float* x, int64_t rows, bool add);
  void RotateAndStore(int layer);
  void FeedForward(const LlamaLayer& layer);
  void Logits(absl::Span<const ForwardItem> items, absl::Span<float> logits);
  // body(row) for each row; one token is not worth waking a thread for.
  template <typename Body>
  void ForRows(Body body);
  int64_t PanelGrain(int64_t panels, int64_t rows) const;

  const std::shared_ptr<const LlamaWeights> weights_;
  const LlamaOptions options_;
  const KvLayout layout_;
  const kernels::KernelTable& kernels_;
  const std::string fingerprint_;
  kernels::ThreadPool pool_;
  PagedAttention attention_;
  kernels::HugeBuffer own_kv_;
  absl::Span<std::byte> kv_;
  kernels::HugeBuffer activation_memory_;
  Activations act_{};
  size_t unpack_floats_ = 0;
  std::vector<float*> unpack_;  // per thread
  std::vector<Row> rows_;
  std::vector<AttentionItem> attention_items_;
};

}  // namespace baton
