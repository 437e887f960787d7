#pragma once

// A model made of hashes, for tests of everything around a model.
//
// The "KV" row of a position is a function of the whole token prefix up to it, the layer, the side and the
// head, so a row computed by any runner of equal layout and seed is the same bytes whatever the chunks, batch
// or pages. Forward reads every earlier row of a sequence before it goes on: bytes that are stale, foreign,
// reused, torn or missing are a violation. The rows also carry the token ids, so a page list can be read back
// as tokens (ReadTokens). Logits are a function of the prefix; a wholly foreign but consistent prefix
// therefore shows as other tokens than a reference's.

#include <cstdint>
#include <memory>
#include <optional>
#include <string>
#include <vector>

#include "engine/model/runner.h"

namespace baton {

struct FakeRunnerOptions {
  // RowBytes() must be 8 or more.
  KvLayout layout{.layers = 2, .kv_heads = 1, .head_dim = 4, .dtype = KvDtype::kF16, .atoms_per_page = 1};
  int64_t pages = 64;
  int vocab = 64;
  int64_t max_context = 512;
  TokenId eos = 0;           // sampled greedily about once in eos_period tokens, otherwise very unlikely
  uint32_t eos_period = 0;   // 0: never
  int layers_per_group = 1;  // layers between two calls of the LayerSink
  uint64_t seed = 1;         // of the "weights"
  std::string numerics;      // told apart by fingerprints; computes the same all the same
};

class FakeRunner final : public ModelRunner {
 public:
  explicit FakeRunner(const FakeRunnerOptions& options = {});

  const KvLayout& kv_layout() const override { return options_.layout; }
  int64_t page_count() const override { return options_.pages; }
  std::byte* PageData(PageId page) override;
  int vocab_size() const override { return options_.vocab; }
  int64_t max_context() const override { return options_.max_context; }
  const std::string& model_id() const override { return model_id_; }
  const std::string& fingerprint() const override { return fingerprint_; }
  // DataLoss on a violation, InvalidArgument on a malformed item; either is kept in violations() too.
  absl::Status Forward(absl::Span<const ForwardItem> items, LayerSink* sink,
                       absl::Span<float> logits) override;

  // Everything that was wrong with the items so far. A test ends by expecting none.
  const std::vector<std::string>& violations() const { return violations_; }
  int64_t forwards() const { return forwards_; }
  // Largest number of tokens in one Forward so far.
  int64_t largest_step() const { return largest_step_; }

  // The next Forward returns `status`, after telling the sink of the first group of layers.
  void FailNext(absl::Status status) { fail_next_ = std::move(status); }
  // The next Forward returns NaN in the logits of its first item that wants some.
  void PoisonNext() { poison_next_ = true; }

  // Fills the rows of positions [begin, tokens.size()) in `pages` (of the whole sequence) as Forward would.
  void Fill(absl::Span<const TokenId> tokens, absl::Span<const PageId> pages, int64_t begin = 0);
  // The tokens whose rows stand in the first `count` positions of `pages`; nullopt if any row is not as it
  // should be.
  std::optional<std::vector<TokenId>> ReadTokens(absl::Span<const PageId> pages, int64_t count);
  // The logits after `tokens`, without any KV.
  std::vector<float> Logits(absl::Span<const TokenId> tokens) const;

 private:
  std::byte* Row(absl::Span<const PageId> pages, int64_t position, int layer, KvSide side, int head);
  void WriteRows(absl::Span<const PageId> pages, int64_t position, int layer, uint64_t state, TokenId token);
  // Advances `state` over the stored row; false if the row's bytes are not those of this prefix.
  bool ReadRow(absl::Span<const PageId> pages, int64_t position, uint64_t* state, TokenId* token);
  absl::Status CheckItem(const ForwardItem& item, uint64_t* state);
  void FillLogits(uint64_t state, absl::Span<float> logits) const;
  absl::Status Violation(absl::Status status);

  FakeRunnerOptions options_;
  std::string model_id_, fingerprint_;
  std::unique_ptr<std::byte[]> memory_;
  std::vector<std::string> violations_;
  int64_t forwards_ = 0;
  int64_t largest_step_ = 0;
  absl::Status fail_next_;
  bool poison_next_ = false;
};

}  // namespace baton
