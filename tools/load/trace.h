#pragma once

// Public traces of requests: Mooncake's jsonl (timestamp in ms, input_length, output_length, hash_ids of 512
// tokens each), Azure's csv (TIMESTAMP,ContextTokens,GeneratedTokens) and ShareGPT's json (conversations of
// "human" and "gpt").

#include <cstdint>
#include <optional>
#include <string>
#include <vector>

#include "absl/status/statusor.h"
#include "absl/strings/string_view.h"
#include "absl/time/time.h"

namespace baton::load {

struct TraceTurn {
  std::string text;
  int64_t input_tokens = 0, output_tokens = 0;  // estimated from the words
};

struct TraceRow {
  std::optional<absl::Duration> at;  // from the first row; none: the format has no times (then no row has)
  int64_t input_tokens = 0, output_tokens = 0;
  std::vector<uint64_t> blocks;  // ids of 512-token blocks; equal ids, equal tokens
  std::vector<TraceTurn> turns;  // of formats with texts
};

// Rows by time. `format`: "mooncake", "azure", "sharegpt", or "auto" for what the text looks like.
// INVALID_ARGUMENT names the line; rows of no tokens are passed over.
absl::StatusOr<std::vector<TraceRow>> ParseTrace(absl::string_view text, absl::string_view format);

// As ParseTrace, of a file of at most 1 GB.
absl::StatusOr<std::vector<TraceRow>> ReadTrace(const std::string& path, absl::string_view format);

}  // namespace baton::load
