#include "tests/support/fake_runner.h"

#include <cstdio>
#include <cstdlib>
#include <cstring>
#include <limits>

#include "absl/strings/str_cat.h"
#include "common/status_macros.h"

namespace baton {
namespace {

// SplitMix64's finaliser (Steele et al. 2014).
uint64_t Mix(uint64_t x) {
  x += 0x9e3779b97f4a7c15u;
  x = (x ^ (x >> 30)) * 0xbf58476d1ce4e5b9u;
  x = (x ^ (x >> 27)) * 0x94d049bb133111ebu;
  return x ^ (x >> 31);
}

uint64_t NextState(uint64_t state, TokenId token) {
  return Mix(state ^ Mix(static_cast<uint32_t>(token)));
}

// What head 0's key row of layer 0 holds: the prefix's state, and the token hidden in the value row beside
// it.
uint64_t UnitValue(uint64_t state, TokenId token, int layer, KvSide side, int head) {
  if (layer == 0 && head == 0 && side == KvSide::kKey) return state;
  if (layer == 0 && head == 0) return Mix(state ^ 0x746f6b656eu) ^ static_cast<uint32_t>(token);
  return Mix(state ^ (static_cast<uint64_t>(layer) << 40) ^ (static_cast<uint64_t>(side) << 32) ^
             static_cast<uint64_t>(head + 1));
}

void WriteRow(std::byte* row, size_t bytes, uint64_t value) {
  for (size_t at = 0; at < bytes; at += sizeof(value)) {
    std::memcpy(row + at, &value, std::min(sizeof(value), bytes - at));
    value = Mix(value);
  }
}

bool RowHolds(const std::byte* row, size_t bytes, uint64_t value) {
  for (size_t at = 0; at < bytes; at += sizeof(value)) {
    if (std::memcmp(row + at, &value, std::min(sizeof(value), bytes - at)) != 0) return false;
    value = Mix(value);
  }
  return true;
}

uint64_t Load(const std::byte* row) {
  uint64_t value;
  std::memcpy(&value, row, sizeof(value));
  return value;
}

}  // namespace

FakeRunner::FakeRunner(const FakeRunnerOptions& options)
    : options_(options),
      model_id_(absl::StrCat("fake-", options.seed, "-", options.layout.layers, "-", options.layout.kv_heads,
                             "-", options.layout.head_dim)),
      fingerprint_(absl::StrCat(model_id_, options.numerics)),
      memory_(new std::byte[options.pages * options.layout.PageBytes()]) {
  if (options.layout.RowBytes() < sizeof(uint64_t)) {
    std::fprintf(stderr, "FakeRunner: rows must have 8 bytes or more\n");
    std::abort();
  }
  std::memset(memory_.get(), 0xa5, options.pages * options.layout.PageBytes());
}

std::byte* FakeRunner::PageData(PageId page) {
  return memory_.get() + page * options_.layout.PageBytes();
}

std::byte* FakeRunner::Row(absl::Span<const PageId> pages, int64_t position, int layer, KvSide side,
                           int head) {
  const KvLayout& layout = options_.layout;
  const int64_t in_page = position % layout.PageTokens();
  return PageData(pages[position / layout.PageTokens()]) +
         layout.UnitOffset(static_cast<int>(in_page / kAtomTokens), layer, side, head) +
         layout.RowBytes() * (in_page % kAtomTokens);
}

void FakeRunner::WriteRows(absl::Span<const PageId> pages, int64_t position, int layer, uint64_t state,
                           TokenId token) {
  for (KvSide side : {KvSide::kKey, KvSide::kValue}) {
    for (int head = 0; head < options_.layout.kv_heads; ++head) {
      WriteRow(Row(pages, position, layer, side, head), options_.layout.RowBytes(),
               UnitValue(state, token, layer, side, head));
    }
  }
}

bool FakeRunner::ReadRow(absl::Span<const PageId> pages, int64_t position, uint64_t* state, TokenId* token) {
  const uint64_t stored = Load(Row(pages, position, 0, KvSide::kKey, 0));
  const uint64_t hidden = Load(Row(pages, position, 0, KvSide::kValue, 0)) ^ Mix(stored ^ 0x746f6b656eu);
  if (hidden >= static_cast<uint64_t>(options_.vocab)) return false;
  *token = static_cast<TokenId>(hidden);
  *state = NextState(*state, *token);
  if (*state != stored) return false;
  for (int layer = 0; layer < options_.layout.layers; ++layer) {
    for (KvSide side : {KvSide::kKey, KvSide::kValue}) {
      for (int head = 0; head < options_.layout.kv_heads; ++head) {
        if (!RowHolds(Row(pages, position, layer, side, head), options_.layout.RowBytes(),
                      UnitValue(*state, *token, layer, side, head))) {
          return false;
        }
      }
    }
  }
  return true;
}

absl::Status FakeRunner::Violation(absl::Status status) {
  violations_.emplace_back(status.message());
  return status;
}

absl::Status FakeRunner::CheckItem(const ForwardItem& item, uint64_t* state) {
  const int64_t end = item.start + static_cast<int64_t>(item.tokens.size());
  if (item.tokens.empty() || item.start < 0 || end > options_.max_context) {
    return Violation(
        absl::InvalidArgumentError(absl::StrCat("bad item: tokens [", item.start, ", ", end, ")")));
  }
  if (static_cast<int64_t>(item.pages.size()) < options_.layout.PagesFor(end)) {
    return Violation(
        absl::InvalidArgumentError(absl::StrCat(item.pages.size(), " pages for ", end, " tokens")));
  }
  for (PageId page : item.pages) {
    if (page < 0 || page >= options_.pages) {
      return Violation(absl::InvalidArgumentError(absl::StrCat("no page ", page)));
    }
  }
  for (TokenId token : item.tokens) {
    if (token < 0 || token >= options_.vocab) {
      return Violation(absl::InvalidArgumentError(absl::StrCat("no token ", token)));
    }
  }
  *state = options_.seed;
  for (int64_t position = 0; position < item.start; ++position) {
    TokenId token;
    if (!ReadRow(item.pages, position, state, &token)) {
      return Violation(absl::DataLossError(absl::StrCat(
          "KV of position ", position, " before ", item.start, " is not of this prefix, in page ",
          item.pages[position / options_.layout.PageTokens()])));
    }
  }
  return absl::OkStatus();
}

void FakeRunner::FillLogits(uint64_t state, absl::Span<float> logits) const {
  for (int id = 0; id < options_.vocab; ++id) {
    logits[id] =
        static_cast<float>(Mix(state ^ (static_cast<uint64_t>(id + 1) << 32)) >> 40) * 0x1p-21f - 4.0f;
  }
  const bool ends = options_.eos_period > 0 && Mix(state ^ 0x656f73u) % options_.eos_period == 0;
  logits[options_.eos] = ends ? 12.0f : -12.0f;
}

absl::Status FakeRunner::Forward(absl::Span<const ForwardItem> items, LayerSink* sink,
                                 absl::Span<float> logits) {
  ++forwards_;
  int64_t tokens = 0;
  std::vector<uint64_t> states(items.size());
  for (size_t i = 0; i < items.size(); ++i) {
    BATON_RETURN_IF_ERROR(CheckItem(items[i], &states[i]));
    tokens += static_cast<int64_t>(items[i].tokens.size());
  }
  largest_step_ = std::max(largest_step_, tokens);

  const int layers = options_.layout.layers;
  std::vector<uint64_t> last(items.size());
  for (int first = 0; first < layers; first += options_.layers_per_group) {
    const int end = std::min(layers, first + options_.layers_per_group);
    for (size_t i = 0; i < items.size(); ++i) {
      uint64_t state = states[i];
      for (size_t t = 0; t < items[i].tokens.size(); ++t) {
        state = NextState(state, items[i].tokens[t]);
        for (int layer = first; layer < end; ++layer) {
          WriteRows(items[i].pages, items[i].start + static_cast<int64_t>(t), layer, state,
                    items[i].tokens[t]);
        }
      }
      last[i] = state;
    }
    if (sink != nullptr) sink->OnLayersDone(first, end);
    if (!fail_next_.ok()) return std::exchange(fail_next_, absl::OkStatus());
  }

  size_t row = 0;
  for (size_t i = 0; i < items.size(); ++i) {
    if (!items[i].want_logits) continue;
    if ((row + 1) * options_.vocab > logits.size())
      return Violation(absl::InvalidArgumentError("no room for logits"));
    absl::Span<float> out = logits.subspan(row++ * options_.vocab, options_.vocab);
    FillLogits(last[i], out);
    if (std::exchange(poison_next_, false)) out[out.size() / 2] = std::numeric_limits<float>::quiet_NaN();
  }
  return absl::OkStatus();
}

void FakeRunner::Fill(absl::Span<const TokenId> tokens, absl::Span<const PageId> pages, int64_t begin) {
  uint64_t state = options_.seed;
  for (int64_t position = 0; position < static_cast<int64_t>(tokens.size()); ++position) {
    state = NextState(state, tokens[position]);
    if (position < begin) continue;
    for (int layer = 0; layer < options_.layout.layers; ++layer)
      WriteRows(pages, position, layer, state, tokens[position]);
  }
}

std::optional<std::vector<TokenId>> FakeRunner::ReadTokens(absl::Span<const PageId> pages, int64_t count) {
  std::vector<TokenId> tokens(count);
  uint64_t state = options_.seed;
  for (int64_t position = 0; position < count; ++position) {
    if (!ReadRow(pages, position, &state, &tokens[position])) return std::nullopt;
  }
  return tokens;
}

std::vector<float> FakeRunner::Logits(absl::Span<const TokenId> tokens) const {
  uint64_t state = options_.seed;
  for (TokenId token : tokens) state = NextState(state, token);
  std::vector<float> logits(options_.vocab);
  FillLogits(state, absl::MakeSpan(logits));
  return logits;
}

}  // namespace baton
