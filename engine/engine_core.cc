#include "engine/engine_core.h"

#include <algorithm>
#include <utility>

#include "absl/strings/str_cat.h"
#include "engine/engine_core_state.h"

namespace baton {
namespace {

SchedulerOptions PolicyOptions(const EngineOptions& options) {
  return {.token_budget = std::max<int64_t>(options.token_budget, 1),
          .max_running = std::max<int64_t>(options.max_running, 1),
          .prefill_chunk = std::max<int64_t>(options.prefill_chunk, 1)};
}

}  // namespace

EngineCore::Impl::Impl(const EngineOptions& options, ModelRunner* runner, EngineEventSink* sink)
    : options(options),
      runner(runner),
      sink(sink),
      layout(runner->kv_layout()),
      limits{.vocab = runner->vocab_size(),
             .max_context = runner->max_context(),
             .pages = runner->page_count(),
             .layout = runner->kv_layout()},
      scheduler(PolicyOptions(options)),
      cache(runner->page_count(), options.prefix_cache) {}

// --- queues
// -------------------------------------------------------------------------------------------------------------

absl::Status EngineCore::Impl::CheckId(SeqId id) const {
  if (sequences.contains(id) || retained.contains(id) || fetches.contains(id))
    return absl::AlreadyExistsError(absl::StrCat("sequence id ", id, " is in use"));
  if (static_cast<int64_t>(sequences.size() + retained.size() + fetches.size()) >= options.max_sequences) {
    return absl::ResourceExhaustedError(
        absl::StrCat("the rank has its limit of ", options.max_sequences, " sequences"));
  }
  return absl::OkStatus();
}

Sequence* EngineCore::Impl::Accept(SeqId id, SequenceSpec& spec, SequenceKind kind, MonoTime now) {
  absl::Status status = CheckId(id);
  if (status.ok()) status = CheckSpec(spec, limits, kind == SequenceKind::kServe);
  if (status.ok() && spec.deadline <= now)
    status = absl::DeadlineExceededError("the deadline had passed on arrival");
  if (!status.ok()) {
    sink->OnEngineEvent(FailedEvent{id, std::move(status)});
    return nullptr;
  }
  auto sequence = std::make_unique<Sequence>();
  sequence->id = id;
  sequence->spec = std::move(spec);
  sequence->kind = kind;
  sequence->arrival = arrivals++;
  if (UsesHistory(sequence->spec.sampling)) {
    const absl::Span<const TokenId> tokens = sequence->spec.tokens;
    sequence->history.AddPrompt(tokens.first(sequence->spec.prompt_tokens));
    for (TokenId token : tokens.subspan(sequence->spec.prompt_tokens)) sequence->history.AddGenerated(token);
  }
  if (sequence->spec.deadline != absl::InfiniteFuture()) deadlines.emplace(sequence->spec.deadline, id);
  return (sequences[id] = std::move(sequence)).get();
}

Sequence* EngineCore::Impl::Find(SeqId id, Phase phase) {
  const auto it = sequences.find(id);
  return it != sequences.end() && it->second->phase == phase ? it->second.get() : nullptr;
}

void EngineCore::Impl::Enqueue(Sequence* sequence, Phase phase) {
  sequence->phase = phase;
  if (phase == Phase::kWaiting) waiting.emplace(sequence->rank(), sequence);
  if (phase == Phase::kRunning) running.emplace(sequence->rank(), sequence);
}

void EngineCore::Impl::Dequeue(Sequence* sequence) {
  if (sequence->phase == Phase::kWaiting) waiting.erase(sequence->rank());
  if (sequence->phase == Phase::kRunning) running.erase(sequence->rank());
}

void EngineCore::Impl::End(Sequence* sequence, bool fenced) {
  const SeqId id = sequence->id;
  Dequeue(sequence);
  if (!sequence->pulling.empty() && !fenced) {
    sequence->pulling.Convert(PageHold::kQuarantine);
    retained[id] = std::move(sequence->pulling);
  }
  if (sequence->offered && !sequence->released && !fenced) {
    cache.Touch(absl::MakeConstSpan(sequence->hashes).first(sequence->indexed));
    sequence->pages.Convert(PageHold::kPin);
    retained[id] = std::move(sequence->pages);
  }
  GiveBackPages(sequence);
  deadlines.erase({sequence->spec.deadline, id});
  sequences.erase(id);
}

bool EngineCore::Impl::Unquarantine(SeqId id) {
  const auto it = retained.find(id);
  if (it == retained.end() || it->second.hold() != PageHold::kQuarantine) return false;
  retained.erase(it);
  return true;
}

void EngineCore::Impl::Fail(Sequence* sequence, absl::Status status) {
  const SeqId id = sequence->id;
  End(sequence, /*fenced=*/false);
  sink->OnEngineEvent(FailedEvent{id, std::move(status)});
}

bool EngineCore::Impl::ExpireDeadlines(MonoTime now) {
  bool any = false;
  while (!deadlines.empty() && deadlines.begin()->first <= now) {
    Fail(sequences.at(deadlines.begin()->second).get(),
         absl::DeadlineExceededError("the sequence ran out of time"));
    any = true;
  }
  return any;
}

// --- commands
// -----------------------------------------------------------------------------------------------------------

void EngineCore::Impl::Handle(ServeCommand& command, MonoTime now) {
  Sequence* sequence = Accept(command.id, command.spec, SequenceKind::kServe, now);
  if (sequence != nullptr) Enqueue(sequence, Phase::kWaiting);
}

void EngineCore::Impl::Handle(PrefillCommand& command, MonoTime now) {
  Sequence* sequence = Accept(command.id, command.spec, SequenceKind::kPrefill, now);
  if (sequence != nullptr) Enqueue(sequence, Phase::kWaiting);
}

void EngineCore::Impl::Handle(ReserveCommand& command, MonoTime now) {
  Sequence* sequence = Accept(command.id, command.spec, SequenceKind::kServe, now);
  if (sequence == nullptr) return;
  sequence->phase = Phase::kPulling;
  if (!Reserve(sequence)) {
    return Fail(sequence,
                absl::ResourceExhaustedError(absl::StrCat(
                    "no ", layout.PagesFor(sequence->length()), " KV pages to spare: ", cache.available(),
                    " available, ", running.size(), " running, ", waiting.size(), " waiting")));
  }
  ReservedEvent event{.id = sequence->id, .cached_tokens = sequence->computed, .tokens = sequence->length()};
  event.pages.assign(sequence->pages.pages().begin(), sequence->pages.pages().end());
  event.pages.insert(event.pages.end(), sequence->pulling.pages().begin(), sequence->pulling.pages().end());
  sink->OnEngineEvent(std::move(event));
}

void EngineCore::Impl::Handle(AdoptCommand& command, MonoTime) {
  Sequence* sequence = Find(command.id, Phase::kPulling);
  if (sequence == nullptr) {
    // Given up meanwhile; but *held* says that its reads are over.
    if (!Unquarantine(command.id)) ++counters.ignored_commands;
    return;
  }
  sequence->pulling.Convert(PageHold::kUse);
  sequence->pages.Append(std::move(sequence->pulling));
  if (command.first_token < 0 || command.first_token >= limits.vocab) {
    return Fail(sequence, absl::InvalidArgumentError(absl::StrCat("first token ", command.first_token,
                                                                  " is not in the vocabulary")));
  }
  sequence->computed = sequence->length();
  sequence->indexable &= command.exact;
  IndexBlocks(sequence);
  Enqueue(sequence, Phase::kRunning);
  AppendToken(sequence, TokenEvent{.id = sequence->id, .token = command.first_token});
}

void EngineCore::Impl::Handle(RecomputeCommand& command, MonoTime) {
  Sequence* sequence = Find(command.id, Phase::kPulling);
  if (sequence == nullptr) {
    if (!command.fenced || !Unquarantine(command.id)) ++counters.ignored_commands;
    return;
  }
  if (!command.fenced) {
    sequence->pulling.Convert(PageHold::kQuarantine);
    retained[command.id] = std::move(sequence->pulling);
  }
  GiveBackPages(sequence);
  Enqueue(sequence, Phase::kWaiting);
}

void EngineCore::Impl::Handle(FencedCommand& command, MonoTime) {
  if (!Unquarantine(command.id)) ++counters.ignored_commands;
}

void EngineCore::Impl::Handle(CancelCommand& command, MonoTime) {
  const auto it = sequences.find(command.id);
  bool known = it != sequences.end() || retained.contains(command.id);
  if (it != sequences.end()) End(it->second.get(), command.fenced);
  known |= EndFetch(command.id, command.fenced);
  if (command.fenced) retained.erase(command.id);
  if (!known) ++counters.ignored_commands;
}

void EngineCore::Impl::Handle(ReleaseCommand& command, MonoTime) {
  const auto kept = retained.find(command.id);
  if (kept != retained.end() && kept->second.hold() == PageHold::kPin) {
    retained.erase(kept);
    return;
  }
  const auto it = sequences.find(command.id);
  if (it == sequences.end() || it->second->kind != SequenceKind::kPrefill) {
    ++counters.ignored_commands;
    return;
  }
  it->second->released = true;
}

// --- public
// -------------------------------------------------------------------------------------------------------------

EngineLoad EngineCore::Impl::Load() const {
  EngineLoad load = counters;
  const PagePool& pool = cache.pool();
  load.pages = {.free = pool.count(PageClass::kFree),
                .used = pool.count(PageClass::kUsed),
                .cached = pool.count(PageClass::kCached),
                .pinned = pool.count(PageClass::kPinned),
                .pulling = pool.count(PageClass::kPulling),
                .quarantined = pool.count(PageClass::kQuarantined)};
  load.running = static_cast<int64_t>(running.size());
  load.waiting = static_cast<int64_t>(waiting.size());
  for (const auto& [rank, sequence] : waiting) load.backlog_tokens += sequence->length();
  for (const auto& [rank, sequence] : running) {
    load.context_tokens += sequence->length();
    if (sequence->remaining() > 1) load.backlog_tokens += sequence->remaining();
  }
  return load;
}

void EngineCore::Impl::TellBlocks() {
  const std::vector<BlockChange> changes = cache.TakeChanges();
  if (!changes.empty()) sink->OnBlocks(changes);
}

EngineCore::EngineCore(const EngineOptions& options, ModelRunner* runner, EngineEventSink* sink)
    : impl_(std::make_unique<Impl>(options, runner, sink)) {}

EngineCore::~EngineCore() = default;

void EngineCore::Handle(EngineCommand command, MonoTime now) {
  impl_->blocked = false;
  std::visit([&](auto& c) { impl_->Handle(c, now); }, command);
  impl_->TellBlocks();
}

bool EngineCore::Step(MonoTime now) {
  const bool worked = impl_->Step(now);
  impl_->TellBlocks();
  return worked;
}

bool EngineCore::HasWork() const {
  return !impl_->blocked && (!impl_->running.empty() || !impl_->waiting.empty());
}

MonoTime EngineCore::NextDeadline() const {
  return impl_->deadlines.empty() ? absl::InfiniteFuture() : impl_->deadlines.begin()->first;
}

EngineLoad EngineCore::Load() const {
  return impl_->Load();
}

absl::Status EngineCore::CheckIntegrity() const {
  return impl_->CheckIntegrity();
}

}  // namespace baton
