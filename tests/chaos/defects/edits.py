"""Nine defects (the flipped bit in two forms), each an edit of one production source: the worker that gets it, the source, and
texts (each found exactly once) with what they become in the copy."""

EMIT = """  Emit(job,
       GeneratedToken{event.position, event.token, event.logprob, std::move(event.top), event.cached_tokens});
"""
EVENTS = "services/worker/worker_core_events.cc"
CORE = "engine/engine_core.cc"
STEP = "engine/engine_core_step.cc"
SUMS = "services/worker/kv_checksums.cc"

DEFECTS = {
    # The positions behind it close the gap, so that no router can see it.
    "dropped_token": ("decode", EVENTS, [(EMIT, """  if (event.position != 9) {
    const auto position = event.position - (event.position > 9 ? 1 : 0);
    Emit(job, GeneratedToken{position, event.token, event.logprob, std::move(event.top)});
  }
""")]),
    "repeated_token": ("decode", EVENTS, [(EMIT, """  const auto position = event.position + (event.position > 9 ? 1 : 0);
  Emit(job, GeneratedToken{position, event.token, event.logprob, event.top});
  if (event.position == 9) Emit(job, GeneratedToken{position + 1, event.token, event.logprob, event.top});
""")]),
    # In the reader's page, after every checksum has matched: the top exponent bit of an f16 key.
    "flipped_bit": ("decode", CORE, [("  sequence->pulling.Convert(PageHold::kUse);\n", """  sequence->pulling.Convert(PageHold::kUse);
  if (!sequence->pulling.empty())
    runner->PageData(sequence->pulling.pages().front())[1] ^= std::byte{0x40};
""")]),
    # In the owner's page, after its checksum was computed: the handoff must see it, and recompute.
    "flipped_bit_of_the_owner": ("prefill", SUMS, [("      if (entry != nullptr) entry->known[part] = true;\n    }\n  }\n  return sums;\n",
                                                    """      if (entry != nullptr) entry->known[part] = true;
    }
  }
  if (begin == 0 && begin < end && event.first_layer == 0 && !event.from_cache)
    runner_->PageData(event.pages.front())[1] ^= std::byte{0x01};
  return sums;
""")]),
    # The first page is never fetched: it holds what its last user left.
    "stale_page": ("decode", EVENTS, [(".begin = event.cached_tokens,\n",
                                       ".begin = event.cached_tokens +\n"
                                       "                             (job.tokens - event.cached_tokens > kAtomTokens ? kAtomTokens : 0),\n")]),
    # Every sequence is preempted once, and the tokens after its replay are drawn for one position too far.
    "wrong_position_after_replay": ("decode", STEP, [
        ('#include "engine/sampling/sampler.h"\n\nnamespace baton {\n', """#include "engine/sampling/sampler.h"

#include <set>

namespace baton {
namespace {
std::set<SeqId> replayed;
}
"""),
        ("  const Batch batch = PlanStep();\n", """  for (const auto& [rank, sequence] : running) {
    if (sequence->kind != SequenceKind::kServe || sequence->length() - sequence->spec.prompt_tokens < 12) continue;
    if (!replayed.insert(sequence->id).second) continue;
    Preempt(sequence);
    break;
  }
  const Batch batch = PlanStep();
"""),
        ("sequence->length() - spec.prompt_tokens, spec.top_logprobs, row);",
         "sequence->length() - spec.prompt_tokens + static_cast<int64_t>(replayed.count(sequence->id)),\n"
         "      spec.top_logprobs, row);")]),
    "leaked_page": ("decode", CORE, [("  GiveBackPages(sequence);\n  deadlines.erase(",
                                      "  if (sequence->kind == SequenceKind::kServe && id % 4 == 0) retained[id] = std::move(sequence->pages);\n"
                                      "  GiveBackPages(sequence);\n  deadlines.erase(")]),
    # The call ends, but the engine is never told and goes on to the last token.
    "lost_cancel": ("decode", EVENTS, [("    Engine(job, CancelCommand{seq, !job.reads_open && !job.lease_open});\n",
                                        "    if (job.state != State::kRunning)\n"
                                        "      Engine(job, CancelCommand{seq, !job.reads_open && !job.lease_open});\n")]),
    "hung_stream": ("decode", EVENTS, [("  if (job.state != State::kRunning) return;\n  const bool over",
                                        "  if (job.state != State::kRunning) return;\n"
                                        "  if (event.position >= 9 && seq % 4 == 0) return;\n  const bool over")]),
}
