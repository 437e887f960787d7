#include "engine/model/llama.h"

#include <algorithm>
#include <cstring>
#include <utility>

#include "absl/strings/str_cat.h"
#include "common/status_macros.h"
#include "engine/model/fingerprint.h"

namespace baton {
namespace {

constexpr size_t kMaxBytes = size_t{1} << 46;

KvLayout LayoutOf(const ModelConfig& config, const LlamaOptions& options) {
  return {.layers = config.layers,
          .kv_heads = config.kv_heads,
          .head_dim = config.head_dim,
          .dtype = options.kv_dtype,
          .atoms_per_page = options.atoms_per_page};
}

absl::Status CheckOptions(const LlamaOptions& o) {
  if (o.threads < 1 || o.threads > 127) return absl::InvalidArgumentError("threads must be in [1, 127]");
  if (o.page_count < 1 || o.page_count > INT32_MAX)
    return absl::InvalidArgumentError("page_count must be positive");
  if (o.atoms_per_page < 1 || o.atoms_per_page > 4096) {
    return absl::InvalidArgumentError("atoms_per_page must be in [1, 4096]");
  }
  if (o.max_batch_tokens < 1 || o.max_batch_tokens > (1 << 20)) {
    return absl::InvalidArgumentError("max_batch_tokens must be in [1, 2^20]");
  }
  if (o.layer_group < 1) return absl::InvalidArgumentError("layer_group must be positive");
  if (!kernels::IsaSupported(o.isa)) {
    return absl::InvalidArgumentError(absl::StrCat("this processor has no ", kernels::IsaName(o.isa)));
  }
  return absl::OkStatus();
}

}  // namespace

absl::StatusOr<std::unique_ptr<LlamaModel>> LlamaModel::Load(const GgufFile& file,
                                                             const LlamaOptions& options) {
  BATON_RETURN_IF_ERROR(CheckOptions(options));
  BATON_ASSIGN_OR_RETURN(std::shared_ptr<const LlamaWeights> weights,
                         LlamaWeights::Load(file, options.max_context, options.threads));
  return Create(std::move(weights), options);
}

absl::StatusOr<std::unique_ptr<LlamaModel>> LlamaModel::Create(std::shared_ptr<const LlamaWeights> weights,
                                                               const LlamaOptions& options) {
  BATON_RETURN_IF_ERROR(CheckOptions(options));
  std::unique_ptr<LlamaModel> model(new LlamaModel(std::move(weights), options));
  BATON_RETURN_IF_ERROR(model->Allocate());
  return model;
}

LlamaModel::LlamaModel(std::shared_ptr<const LlamaWeights> weights, const LlamaOptions& options)
    : weights_(std::move(weights)),
      options_(options),
      layout_(LayoutOf(weights_->config, options)),
      kernels_(kernels::Kernels(options.isa)),
      fingerprint_(Fingerprint(weights_->model_id, weights_->rotations, options.kv_dtype)),
      pool_(options.threads),
      attention_(kernels_, pool_, layout_, weights_->config.heads) {}

absl::Status LlamaModel::Allocate() {
  const ModelConfig& c = config();
  if (layout_.PageBytes() > kMaxBytes / options_.page_count) {
    return absl::ResourceExhaustedError(
        absl::StrCat(options_.page_count, " pages of ", layout_.PageBytes(), " bytes are too many"));
  }
  const size_t kv_bytes = layout_.PageBytes() * options_.page_count;
  if (options_.kv_memory != nullptr) {
    BATON_ASSIGN_OR_RETURN(kv_, options_.kv_memory(kv_bytes));
  } else {
    BATON_ASSIGN_OR_RETURN(own_kv_, kernels::HugeBuffer::Allocate(kv_bytes));
    kv_ = own_kv_.span();
  }
  const int64_t q = int64_t{c.heads} * c.head_dim;
  const int64_t kv = int64_t{c.kv_heads} * c.head_dim;
  unpack_floats_ = kernels::GemmScratchFloats(std::max<int64_t>({c.hidden, c.ffn, q}));
  const std::pair<float**, int64_t> parts[] = {
      {&act_.x, c.hidden}, {&act_.normed, c.hidden}, {&act_.q, q},     {&act_.attended, q}, {&act_.k, kv},
      {&act_.v, kv},       {&act_.gate, c.ffn},      {&act_.up, c.ffn}};
  size_t floats = unpack_floats_ * options_.threads;
  for (const auto& [part, width] : parts) floats += width * options_.max_batch_tokens;
  BATON_ASSIGN_OR_RETURN(activation_memory_, kernels::HugeBuffer::Allocate(floats * sizeof(float)));
  float* next = reinterpret_cast<float*>(activation_memory_.data());
  for (int i = 0; i < options_.threads; ++i) unpack_.push_back(std::exchange(next, next + unpack_floats_));
  for (const auto& [part, width] : parts)
    *part = std::exchange(next, next + width * options_.max_batch_tokens);
  return absl::OkStatus();
}

absl::Status LlamaModel::CheckItem(const ForwardItem& item) const {
  const int64_t count = static_cast<int64_t>(item.tokens.size());
  if (count == 0 || item.start < 0 || item.start > max_context() - count) {
    return absl::InvalidArgumentError(
        absl::StrCat(count, " tokens at position ", item.start, " do not fit a context of ", max_context()));
  }
  const int64_t needed = layout_.PagesFor(item.start + count);
  if (static_cast<int64_t>(item.pages.size()) < needed) {
    return absl::InvalidArgumentError(
        absl::StrCat(item.pages.size(), " pages for ", item.start + count, " tokens"));
  }
  for (int64_t i = 0; i < needed; ++i) {
    if (item.pages[i] < 0 || item.pages[i] >= options_.page_count) {
      return absl::InvalidArgumentError(absl::StrCat("page ", item.pages[i], " of ", options_.page_count));
    }
  }
  for (const TokenId token : item.tokens) {
    if (token < 0 || token >= vocab_size()) {
      return absl::InvalidArgumentError(absl::StrCat("token ", token, " of a vocabulary of ", vocab_size()));
    }
  }
  return absl::OkStatus();
}

absl::Status LlamaModel::Check(absl::Span<const ForwardItem> items, size_t logits) const {
  int64_t rows = 0;
  size_t wanted = 0;
  for (const ForwardItem& item : items) {
    BATON_RETURN_IF_ERROR(CheckItem(item));
    rows += static_cast<int64_t>(item.tokens.size());
    wanted += item.want_logits ? 1 : 0;
  }
  if (rows > options_.max_batch_tokens) {
    return absl::InvalidArgumentError(
        absl::StrCat("a step of ", rows, " tokens; at most ", options_.max_batch_tokens, " were configured"));
  }
  if (logits != wanted * vocab_size()) {
    return absl::InvalidArgumentError(absl::StrCat("room for ", logits, " logits where ", wanted, " rows of ",
                                                   vocab_size(), " are wanted"));
  }
  return absl::OkStatus();
}

void LlamaModel::Lay(absl::Span<const ForwardItem> items) {
  rows_.clear();
  attention_items_.clear();
  for (const ForwardItem& item : items) {
    attention_items_.push_back({.first_row = static_cast<int64_t>(rows_.size()),
                                .count = static_cast<int64_t>(item.tokens.size()),
                                .start = item.start,
                                .pages = item.pages});
    for (size_t i = 0; i < item.tokens.size(); ++i) {
      const int64_t position = item.start + static_cast<int64_t>(i);
      rows_.push_back({item.tokens[i], position, PageData(item.pages[position / layout_.PageTokens()])});
    }
  }
  attention_.Plan(attention_items_);
}

absl::Status LlamaModel::Forward(absl::Span<const ForwardItem> items, LayerSink* sink,
                                 absl::Span<float> logits) {
  BATON_RETURN_IF_ERROR(Check(items, logits.size()));
  if (items.empty()) return absl::OkStatus();
  Lay(items);
  const int64_t rows = static_cast<int64_t>(rows_.size());
  const int layers = config().layers;
  int told = 0;
  Embed();
  for (int i = 0; i < layers; ++i) {
    const LlamaLayer& layer = weights_->layers[i];
    Norm(layer.attn_norm);
    Multiply({{&layer.q, act_.q}, {&layer.k, act_.k}, {&layer.v, act_.v}}, act_.normed, rows, false);
    RotateAndStore(i);
    if (sink != nullptr && ((i + 1) % options_.layer_group == 0 || i + 1 == layers)) {
      sink->OnLayersDone(std::exchange(told, i + 1), i + 1);
    }
    attention_.Run(i, kv_.data(), act_.q, act_.attended);
    Multiply({{&layer.o, act_.x}}, act_.attended, rows, true);
    Norm(layer.ffn_norm);
    FeedForward(layer);
  }
  Logits(items, logits);
  return absl::OkStatus();
}

template <typename Body>
void LlamaModel::ForRows(Body body) {
  pool_.ParallelFor(static_cast<int64_t>(rows_.size()), 8, [&](int64_t begin, int64_t end, int) {
    for (int64_t row = begin; row < end; ++row) body(row);
  });
}

void LlamaModel::Embed() {
  ForRows([&](int64_t row) {
    weights_->embedding.DequantizeRow(rows_[row].token, act_.x + row * config().hidden);
  });
}

void LlamaModel::Norm(const std::vector<float>& weight) {
  const int64_t hidden = config().hidden;
  ForRows([&](int64_t row) {
    kernels_.rms_norm(act_.x + row * hidden, weight.data(), config().rms_eps, hidden,
                      act_.normed + row * hidden);
  });
}

int64_t LlamaModel::PanelGrain(int64_t panels, int64_t rows) const {
  if (rows > 8) return 2;
  return std::max<int64_t>(4, panels / (options_.threads * 8) / 4 * 4);
}

void LlamaModel::Multiply(absl::Span<const Product> products, const float* x, int64_t rows, bool add) {
  int64_t panels = 0;
  for (const Product& product : products) panels += product.w->panels();
  pool_.ParallelFor(panels, PanelGrain(panels, rows), [&](int64_t begin, int64_t end, int slot) {
    int64_t base = 0;
    for (const Product& product : products) {
      const int64_t count = product.w->panels();
      const int64_t from = std::max(begin - base, int64_t{0}), to = std::min(end - base, count);
      base += count;
      if (from >= to) continue;
      kernels_.gemm({.w = product.w,
                     .panel_begin = from,
                     .panel_end = to,
                     .x = x,
                     .ldx = product.w->cols(),
                     .m = rows,
                     .y = product.y,
                     .ldy = product.w->rows(),
                     .add = add,
                     .scratch = unpack_[slot]});
    }
  });
}

void LlamaModel::RotateAndStore(int layer) {
  const ModelConfig& c = config();
  ForRows([&](int64_t row) {
    const Row& r = rows_[row];
    const float* cos_sin = weights_->rope.Row(r.position);
    float* q = act_.q + row * c.heads * c.head_dim;
    for (int head = 0; head < c.heads; ++head) kernels_.rope(q + head * c.head_dim, cos_sin, c.rope_dims / 2);
    const int in_page = static_cast<int>(r.position % layout_.PageTokens());
    const size_t in_unit = (in_page % kAtomTokens) * layout_.RowBytes();
    for (int head = 0; head < c.kv_heads; ++head) {
      float* k = act_.k + (row * c.kv_heads + head) * c.head_dim;
      const float* v = act_.v + (row * c.kv_heads + head) * c.head_dim;
      kernels_.rope(k, cos_sin, c.rope_dims / 2);
      const int atom = in_page / kAtomTokens;
      std::byte* k_unit = r.page + layout_.UnitOffset(atom, layer, KvSide::kKey, head);
      std::byte* v_unit = r.page + layout_.UnitOffset(atom, layer, KvSide::kValue, head);
      kernels_.store_kv(k, c.head_dim, layout_.dtype, k_unit + in_unit);
      kernels_.store_kv(v, c.head_dim, layout_.dtype, v_unit + in_unit);
    }
  });
}

void LlamaModel::FeedForward(const LlamaLayer& layer) {
  const int64_t rows = static_cast<int64_t>(rows_.size());
  const int64_t ffn = config().ffn;
  const int64_t panels = layer.gate.panels();
  pool_.ParallelFor(panels, PanelGrain(panels, rows), [&](int64_t begin, int64_t end, int slot) {
    kernels::GemmArgs args{.w = &layer.gate,
                           .panel_begin = begin,
                           .panel_end = end,
                           .x = act_.normed,
                           .ldx = config().hidden,
                           .m = rows,
                           .y = act_.gate,
                           .ldy = ffn,
                           .add = false,
                           .scratch = unpack_[slot]};
    kernels_.gemm(args);
    args.w = &layer.up;
    args.y = act_.up;
    kernels_.gemm(args);
    const int64_t first = begin * kernels::kPanelRows;
    const int64_t count = std::min(end * kernels::kPanelRows, ffn) - first;
    for (int64_t row = 0; row < rows; ++row) {
      kernels_.silu_mul(act_.gate + row * ffn + first, act_.up + row * ffn + first, count);
    }
  });
  Multiply({{&layer.down, act_.x}}, act_.gate, rows, true);
}

void LlamaModel::Logits(absl::Span<const ForwardItem> items, absl::Span<float> logits) {
  const int64_t hidden = config().hidden;
  int64_t wanted = 0;
  int64_t row = -1;
  for (const ForwardItem& item : items) {
    row += static_cast<int64_t>(item.tokens.size());
    if (!item.want_logits) continue;
    kernels_.rms_norm(act_.x + row * hidden, weights_->output_norm.data(), config().rms_eps, hidden,
                      act_.normed + wanted++ * hidden);
  }
  if (wanted > 0) Multiply({{&weights_->output_matrix(), logits.data()}}, act_.normed, wanted, false);
}

}  // namespace baton
