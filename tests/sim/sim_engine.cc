#include "tests/sim/sim_engine.h"

#include <algorithm>
#include <utility>

#include "common/checksum.h"
#include "services/worker/worker_core.h"

namespace baton::sim {
namespace {

constexpr const char* kCommandNames[] = {"serve",  "prefill", "reserve", "adopt",   "recompute", "fenced",
                                         "cancel", "release", "fetch",   "publish", "share"};
constexpr const char* kEventNames[] = {"token", "reserved", "computed", "shared", "prefilled", "failed"};

}  // namespace

FakeRunnerOptions SimEngine::RunnerOptions(const Context& context, int64_t pages) {
  FakeRunnerOptions options = context.options->runner;
  options.pages = pages;
  return options;
}

SimEngine::SimEngine(const Context& context, NodeId node, std::string name, const EngineOptions& options,
                     int64_t pages, OnEvent on_event)
    : context_(context),
      node_(node),
      name_(std::move(name)),
      runner_(RunnerOptions(context, pages)),
      core_(options, &runner_, this),
      on_event_(std::move(on_event)),
      to_worker_(context, node) {}

void SimEngine::Submit(EngineCommand command) {
  commands_.push_back(std::move(command));
  Kick();
}

void SimEngine::Kick() {
  if (std::exchange(turning_, true)) return;
  context_.queue->After(node_, absl::Microseconds(context_.network->prng()->Range(1, 60)),
                        [this] { Turn(); });
}

void SimEngine::Turn() {
  turning_ = false;
  const MonoTime now = context_.queue->NodeNow(node_);
  while (!commands_.empty()) {
    EngineCommand command = std::move(commands_.front());
    commands_.pop_front();
    const char* what = kCommandNames[command.index()];
    context_.coverage->Hit(absl::StrCat("engine/command/", what));
    context_.Note(name_, what, "seq ", std::visit([](const auto& c) { return c.id; }, command));
    if (const auto* prefill = std::get_if<PrefillCommand>(&command)) {
      prompts_[prefill->id] = static_cast<int64_t>(prefill->spec.tokens.size());
    }
    core_.Handle(std::move(command), now);
  }
  const EngineLoad before = core_.Load();
  const bool worked = core_.Step(now);
  const EngineLoad after = core_.Load();
  const int64_t tokens = after.computed_tokens - before.computed_tokens;
  if (after.preemptions > before.preemptions)
    context_.coverage->Hit("engine/preempted", after.preemptions - before.preemptions);
  if (after.prefix_hits > before.prefix_hits)
    context_.coverage->Hit("engine/prefix hit", after.prefix_hits - before.prefix_hits);
  const absl::Duration step = context_.options->step_time;
  const absl::Duration took = worked ? step + step / 10 * tokens : absl::Microseconds(5);
  if (worked) context_.Note(name_, "step", tokens, " tokens, free ", after.pages.free);
  for (Emitted& e : emitted_) {
    to_worker_.PostAfter(took, [this, e = std::make_shared<Emitted>(std::move(e))] {
      on_event_(std::move(e->event), std::move(e->checksums));
    });
  }
  emitted_.clear();
  Check();
  if ((worked || core_.HasWork() || !commands_.empty()) && !std::exchange(turning_, true)) {
    context_.queue->After(node_, worked ? took : absl::Milliseconds(1), [this] { Turn(); });
  }
}

void SimEngine::Check() {
  const PageCounts pages = core_.Load().pages;
  context_.checker->Require(pages.total() == runner_.page_count(), name_, ": page classes sum to ",
                            pages.total(), " of ", runner_.page_count());
  const bool bad = !runner_.violations().empty();
  context_.checker->Require(!bad, name_,
                            ": the model saw wrong KV: ", bad ? runner_.violations().front() : "");
  if (core_.HasWork() && ++checked_steps_ % 16 != 0) return;
  const absl::Status integrity = core_.CheckIntegrity();
  context_.checker->Require(integrity.ok(), name_, ": integrity: ", std::string(integrity.message()));
}

void SimEngine::OnEngineEvent(EngineEvent event) {
  const char* what = kEventNames[event.index()];
  context_.coverage->Hit(absl::StrCat("engine/event/", what));
  context_.Note(name_, what, "seq ", std::visit([](const auto& e) { return e.id; }, event));
  if (const auto* failed = std::get_if<FailedEvent>(&event)) {
    context_.checker->Require(!absl::IsDataLoss(failed->status) && !absl::IsInternal(failed->status), name_,
                              ": the engine failed: ", std::string(failed->status.message()));
  }
  std::vector<uint64_t> checksums;
  if (const auto* computed = std::get_if<ComputedEvent>(&event))
    checksums = Checksums(*computed, prompts_.at(computed->id));
  if (const auto* shared = std::get_if<SharedEvent>(&event)) {
    checksums =
        Checksums({shared->id, 0, shared->tokens, 0, shared->layers, shared->pages, true}, shared->tokens);
  }
  emitted_.push_back({std::move(event), std::move(checksums)});
}

std::vector<uint64_t> SimEngine::Checksums(const ComputedEvent& event, int64_t tokens) {
  const KvLayout& layout = runner_.kv_layout();
  const auto [begin, end] = Offerable(event.begin, event.end, tokens);
  std::vector<uint64_t> checksums;
  for (int64_t token = begin; token < end; token += kAtomTokens) {
    const int64_t rows = std::min<int64_t>(kAtomTokens, end - token);
    std::byte* page = runner_.PageData(event.pages[token / layout.PageTokens()]);
    const int atom = static_cast<int>(token % layout.PageTokens() / kAtomTokens);
    for (int32_t layer = event.first_layer; layer < event.end_layer; ++layer) {
      for (const KvSide side : {KvSide::kKey, KvSide::kValue}) {
        for (int head = 0; head < layout.kv_heads; ++head) {
          checksums.push_back(
              Checksum64({page + layout.UnitOffset(atom, layer, side, head), rows * layout.RowBytes()}));
        }
      }
    }
  }
  return checksums;
}

std::string SimEngine::WhyNotAtBaseline() const {
  const EngineLoad load = core_.Load();
  if (!commands_.empty() || core_.HasWork()) return absl::StrCat(name_, ": the engine still has work");
  if (load.running + load.waiting != 0)
    return absl::StrCat(name_, ": ", load.running + load.waiting, " sequences are left");
  if (load.pages.free + load.pages.cached != runner_.page_count()) {
    return absl::StrCat(name_, ": pages not given back: used ", load.pages.used, ", pinned ",
                        load.pages.pinned, ", pulling ", load.pages.pulling, ", quarantined ",
                        load.pages.quarantined);
  }
  return "";
}

}  // namespace baton::sim
