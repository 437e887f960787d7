#include <algorithm>
#include <utility>

#include "absl/strings/str_cat.h"
#include "engine/engine_core_state.h"
#include "engine/sampling/sampler.h"

namespace baton {

bool EngineCore::Impl::Step(MonoTime now) {
  const bool expired = ExpireDeadlines(now);
  if (running.empty() && waiting.empty()) return expired;
  const Batch batch = PlanStep();
  step_items = Prepare(batch);
  const bool worked = !step_items.empty() || !batch.preempted.empty();
  if (!step_items.empty()) Compute();
  step_items.clear();
  blocked = !worked;
  if (worked) ++counters.steps;
  return worked || expired;
}

Batch EngineCore::Impl::PlanStep() {
  running_order.clear();
  waiting_order.clear();
  std::vector<RunningView> views;
  int64_t missing = 0;
  for (const auto& [rank, sequence] : running) {
    running_order.push_back(sequence);
    views.push_back({.remaining = sequence->remaining(),
                     .missing_pages = layout.PagesFor(sequence->length()) - sequence->pages.size(),
                     .preemptable = sequence->kind == SequenceKind::kServe});
    views.back().missing_pages = std::max<int64_t>(views.back().missing_pages, 0);
    missing += views.back().missing_pages;
  }
  if (missing > cache.available()) {
    for (size_t i = 0; i < views.size(); ++i) views[i].own_pages = OwnPages(*running_order[i]);
  }
  const int64_t slots = options.max_running - static_cast<int64_t>(running.size());
  for (const auto& [rank, sequence] : waiting) {
    if (static_cast<int64_t>(waiting_order.size()) >= slots) break;
    waiting_order.push_back(sequence);
  }
  return scheduler.Plan(views, waiting_order.size(), cache.available(), [&](size_t index) {
    Sequence* sequence = waiting_order[index];
    const PageCache::Found found = cache.Peek(MatchableHashes(sequence));
    return AdmissionCost{.pages = AdmissionPages(*sequence) - found.held,
                         .remaining = sequence->length() - found.blocks * layout.PageTokens(),
                         .grows = sequence->kind == SequenceKind::kServe};
  });
}

std::vector<EngineCore::Impl::StepItem> EngineCore::Impl::Prepare(const Batch& batch) {
  for (size_t index : batch.preempted) Preempt(running_order[index]);
  std::vector<StepItem> items;
  for (const BatchItem& item : batch.items) {
    Sequence* sequence = item.admitted ? waiting_order[item.index] : running_order[item.index];
    if (item.admitted && !Admit(sequence)) break;
    const int64_t missing = layout.PagesFor(sequence->computed + item.tokens) - sequence->pages.size();
    if (missing > 0) {
      std::optional<PageLease> more = cache.Allocate(missing, PageHold::kUse);
      if (!more.has_value()) continue;
      sequence->pages.Append(*std::move(more));
    }
    items.push_back({sequence, std::min(item.tokens, sequence->remaining())});
  }
  return items;
}

bool EngineCore::Impl::Admit(Sequence* sequence) {
  Dequeue(sequence);
  const bool admitted = TakePages(sequence, AdmissionPages(*sequence), PageHold::kUse);
  if (admitted) sequence->preempted = false;
  Enqueue(sequence, admitted ? Phase::kRunning : Phase::kWaiting);
  if (admitted && sequence->kind == SequenceKind::kPrefill && !sequence->released && sequence->computed > 0) {
    EmitComputed(sequence, 0, sequence->computed, 0, layout.layers, /*from_cache=*/true);
  }
  return admitted;
}

void EngineCore::Impl::Preempt(Sequence* sequence) {
  Dequeue(sequence);
  GiveBackPages(sequence);
  sequence->preempted = true;
  ++counters.preemptions;
  Enqueue(sequence, Phase::kWaiting);
}

void EngineCore::Impl::EmitComputed(Sequence* sequence, int64_t begin, int64_t end, int first_layer,
                                    int end_layer, bool from_cache) {
  sequence->offered = true;
  const absl::Span<const PageId> pages = sequence->pages.pages();
  sink->OnEngineEvent(ComputedEvent{.id = sequence->id,
                                    .begin = begin,
                                    .end = end,
                                    .first_layer = first_layer,
                                    .end_layer = end_layer,
                                    .pages = {pages.begin(), pages.end()},
                                    .from_cache = from_cache});
}

void EngineCore::Impl::OnLayersDone(int first_layer, int end_layer) {
  for (const auto& [sequence, tokens] : step_items) {
    if (sequence->kind != SequenceKind::kPrefill || sequence->released) continue;
    EmitComputed(sequence, sequence->computed, sequence->computed + tokens, first_layer, end_layer,
                 /*from_cache=*/false);
  }
}

void EngineCore::Impl::Compute() {
  std::vector<ForwardItem> items;
  size_t rows = 0;
  for (const auto& [sequence, tokens] : step_items) {
    const bool last = tokens == sequence->remaining();
    items.push_back({.tokens = absl::MakeConstSpan(sequence->spec.tokens).subspan(sequence->computed, tokens),
                     .start = sequence->computed,
                     .pages = sequence->pages.pages(),
                     .want_logits = last});
    rows += last ? 1 : 0;
  }
  logits.resize(rows * limits.vocab);
  const absl::Status status = runner->Forward(items, this, absl::MakeSpan(logits));
  if (!status.ok()) {
    for (const auto& [sequence, tokens] : step_items) Fail(sequence, status);
    return;
  }
  size_t row = 0;
  for (const auto& [sequence, tokens] : step_items) {
    sequence->computed += tokens;
    counters.computed_tokens += tokens;
    IndexBlocks(sequence);
    if (sequence->remaining() > 0) continue;
    Advance(sequence, absl::MakeSpan(logits).subspan(row++ * limits.vocab, limits.vocab));
  }
}

void EngineCore::Impl::Advance(Sequence* sequence, absl::Span<float> row) {
  const SequenceSpec& spec = sequence->spec;
  absl::StatusOr<SampledToken> sampled = Sample(
      spec.sampling, sequence->history, sequence->length() - spec.prompt_tokens, spec.top_logprobs, row);
  if (!sampled.ok()) return Fail(sequence, sampled.status());
  ++counters.generated_tokens;
  AppendToken(sequence, TokenEvent{.id = sequence->id,
                                   .token = sampled->token,
                                   .logprob = sampled->logprob,
                                   .top = std::move(sampled->top),
                                   .cached_tokens = std::exchange(sequence->reused, 0)});
}

void EngineCore::Impl::AppendToken(Sequence* sequence, TokenEvent event) {
  SequenceSpec& spec = sequence->spec;
  event.position = sequence->length() - spec.prompt_tokens;
  spec.tokens.push_back(event.token);
  if (UsesHistory(spec.sampling)) sequence->history.AddGenerated(event.token);
  if (!spec.ignore_eos && std::ranges::find(spec.stop_tokens, event.token) != spec.stop_tokens.end()) {
    event.finish = FinishReason::kStop;
  } else if (event.position + 1 >= spec.max_tokens) {
    event.finish = FinishReason::kLength;
  }
  const bool prefilled = sequence->kind == SequenceKind::kPrefill;
  if (prefilled || event.finish != FinishReason::kNone) End(sequence, /*fenced=*/false);
  if (prefilled) {
    const SeqId id = event.id;
    sink->OnEngineEvent(PrefilledEvent{id, std::move(event)});
  } else {
    sink->OnEngineEvent(std::move(event));
  }
}

}  // namespace baton
