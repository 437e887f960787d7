#include <algorithm>
#include <limits>
#include <utility>

#include "absl/strings/str_cat.h"
#include "common/block_hash.h"
#include "engine/engine_core_state.h"

namespace baton {

absl::StatusOr<std::vector<BlockHash>> EngineCore::Impl::WholeBlocks(absl::Span<const TokenId> tokens,
                                                                     const Id128& salt) const {
  if (static_cast<int64_t>(tokens.size()) > limits.max_context) {
    return absl::InvalidArgumentError(
        absl::StrCat(tokens.size(), " tokens exceed the model's context of ", limits.max_context));
  }
  return BlockHashes(RootBlockHash(runner->fingerprint(), salt), tokens, layout.PageTokens());
}

void EngineCore::Impl::Handle(FetchCommand& command, MonoTime) {
  const auto refuse = [&](absl::Status status) {
    sink->OnEngineEvent(FailedEvent{command.id, std::move(status)});
  };
  if (absl::Status status = CheckId(command.id); !status.ok()) return refuse(std::move(status));
  if (!options.prefix_cache)
    return refuse(absl::FailedPreconditionError("this rank keeps no prefix cache to fetch into"));
  auto hashes = WholeBlocks(command.tokens, command.cache_salt);
  if (!hashes.ok()) return refuse(hashes.status());
  const int64_t blocks = static_cast<int64_t>(hashes->size());
  if (blocks == 0) {
    return refuse(absl::InvalidArgumentError(absl::StrCat(
        command.tokens.size(), " tokens do not fill a block of ", layout.PageTokens(), " tokens")));
  }
  BlockFetch fetch{.hashes = *std::move(hashes)};
  const int64_t taken = blocks - cache.Peek(fetch.hashes).held;
  std::optional<PageLease> fresh;
  if (MayReserve(taken, std::numeric_limits<int32_t>::min())) {
    fetch.cached = cache.Match(fetch.hashes, PageHold::kUse);
    fresh = cache.Allocate(blocks - fetch.cached.size(), PageHold::kPull);
  }
  if (!fresh.has_value()) {
    return refuse(absl::ResourceExhaustedError(
        absl::StrCat("no ", blocks, " KV pages to spare: ", cache.available(), " available, ", running.size(),
                     " running, ", waiting.size(), " waiting")));
  }
  fetch.pulling = *std::move(fresh);
  ReservedEvent event{.id = command.id,
                      .cached_tokens = fetch.cached.size() * layout.PageTokens(),
                      .tokens = blocks * layout.PageTokens()};
  event.pages.assign(fetch.cached.pages().begin(), fetch.cached.pages().end());
  event.pages.insert(event.pages.end(), fetch.pulling.pages().begin(), fetch.pulling.pages().end());
  fetches.emplace(command.id, std::move(fetch));
  sink->OnEngineEvent(std::move(event));
}

void EngineCore::Impl::Handle(PublishCommand& command, MonoTime) {
  auto node = fetches.extract(command.id);
  if (node.empty()) {
    // Given up meanwhile; but *held* says that its reads are over.
    if (!Unquarantine(command.id)) ++counters.ignored_commands;
    return;
  }
  BlockFetch fetch = std::move(node.mapped());
  const int64_t known = fetch.cached.size();
  if (!fetch.pulling.empty()) fetch.pulling.Convert(PageHold::kUse);
  fetch.cached.Append(std::move(fetch.pulling));
  const absl::Span<const BlockHash> hashes = fetch.hashes;
  for (int64_t block = known; block < fetch.cached.size(); ++block) {
    cache.Index(hashes.first(block + 1), &fetch.cached, /*may_replace=*/true);
  }
  cache.Touch(hashes);
  counters.fetched_tokens += (fetch.cached.size() - known) * layout.PageTokens();
}

bool EngineCore::Impl::EndFetch(SeqId id, bool fenced) {
  auto node = fetches.extract(id);
  if (node.empty()) return false;
  PageLease& pulling = node.mapped().pulling;
  if (!fenced && !pulling.empty()) {
    pulling.Convert(PageHold::kQuarantine);
    retained.emplace(id, std::move(pulling));
  }
  return true;
}

void EngineCore::Impl::Handle(ShareCommand& command, MonoTime) {
  absl::Status status = CheckId(command.id);
  absl::StatusOr<std::vector<BlockHash>> hashes = WholeBlocks(command.tokens, command.cache_salt);
  if (status.ok()) status = hashes.status();
  if (!status.ok()) {
    sink->OnEngineEvent(FailedEvent{command.id, std::move(status)});
    return;
  }
  PageLease pinned = cache.Match(*hashes, PageHold::kPin);
  SharedEvent event{.id = command.id,
                    .pages = {pinned.pages().begin(), pinned.pages().end()},
                    .tokens = pinned.size() * layout.PageTokens(),
                    .layers = layout.layers};
  counters.shared_tokens += event.tokens;
  retained.emplace(command.id, std::move(pinned));
  sink->OnEngineEvent(std::move(event));
}

}  // namespace baton
