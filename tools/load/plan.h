#pragma once

// What shall be sent, and when. Plain data: made by the workload, sent by the client.

#include <cstdint>
#include <optional>
#include <string>
#include <vector>

#include "absl/time/time.h"

namespace baton::load {

// Tokens that follow from a key: parts with equal keys begin with the same tokens, so prompts that begin with
// equal parts share that prefix.
struct PromptPart {
  uint64_t key = 0;
  int64_t tokens = 0;

  bool operator==(const PromptPart&) const = default;
};

struct Prompt {
  std::vector<PromptPart> system;  // chat: the system message; completions: before the rest
  std::vector<PromptPart> user;
  std::string text;  // what the user says after those parts, as it is

  bool operator==(const Prompt&) const = default;
};

struct PlannedRequest {
  // When it shall arrive, after the start of the run; for a later turn of a session: after the end of the one
  // before.
  absl::Duration at;
  int64_t after = -1;  // index of the turn before, whose messages and answer come first; -1: none
  Prompt prompt;
  int64_t input_tokens = 0;  // wanted, for servers that do not count; without the turns before
  int64_t max_tokens = 16;
  bool ignore_eos = false;
  double temperature = 0;
  uint64_t seed = 0;
  int64_t cancel_after = -1;  // the client hangs up after so many tokens, and takes no more; -1: never
  std::string tenant;         // sent as "user", if any
  int priority = 0;           // sent as "priority", unless 0
};

// Requests by the time of their arrival, those that come after another one anywhere behind it.
struct LoadPlan {
  std::vector<PlannedRequest> requests;
  absl::Duration duration;  // arrivals end here; measured is what is scheduled from the warm-up's end to here
};

}  // namespace baton::load
