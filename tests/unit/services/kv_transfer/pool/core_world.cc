#include "tests/unit/services/kv_transfer/pool/core_world.h"

#include <gtest/gtest.h>

#include "common/block_hash.h"

namespace baton::pool {
namespace {

const MonoTime kNow = absl::UnixEpoch() + absl::Seconds(1);

std::vector<uint64_t> SumsOf(const BlockHash& key) {
  return {key.hi, key.lo};
}

}  // namespace

BlockRun MakeRun(uint64_t prompt, size_t blocks, uint64_t family, size_t shared) {
  BlockRun run;
  BlockHash parent = RootBlockHash("test", {1, 1});
  for (size_t i = 0; i < blocks; ++i) {
    const std::vector<TokenId> tokens = {static_cast<TokenId>(i < shared ? family : prompt + 1000000),
                                         static_cast<TokenId>(i)};
    parent = NextBlockHash(parent, tokens);
    run.blocks.push_back(parent);
    run.digests.push_back({parent.lo, parent.hi});
  }
  return run;
}

CoreWorld::CoreWorld(PoolCoreOptions options)
    : core_([&] {
        options.layout = kWorldLayout;
        return options;
      }()) {}

FetchAnswer CoreWorld::Fetch(const BlockRun& run, uint32_t skip, uint32_t least) {
  last_ = {{9, next_id_++}, {}};
  const auto answer = core_.OnFetch({.id = last_, .run = run, .skip = skip, .least = least}, kNow);
  EXPECT_TRUE(answer.ok()) << answer.status();
  Settle();
  return *answer;
}

StoreAnswer CoreWorld::Store(const BlockRun& run) {
  last_ = {{9, next_id_++}, {}};
  const auto answer = core_.OnStore({.id = last_, .run = run}, kNow);
  EXPECT_TRUE(answer.ok()) << answer.status();
  Settle();
  return *answer;
}

uint32_t CoreWorld::StoreHeld(const BlockRun& run) {
  uint32_t stored = 0;
  for (StoreAnswer answer = Store(run); answer.blocks > 0; answer = Store(run)) {
    stored += answer.blocks;
    End(last_, true);
  }
  return stored;
}

uint32_t CoreWorld::FetchHeld(const BlockRun& run, uint32_t skip) {
  const FetchAnswer answer = Fetch(run, skip);
  if (answer.blocks == 0) return 0;
  const Granted& grant = granted.at(last_);
  EXPECT_TRUE(grant.sealed);
  EXPECT_EQ(grant.offered, grant.tokens);
  EXPECT_EQ(grant.digest, run.digests[answer.blocks - 1]);
  End(last_, true);
  return answer.blocks;
}

void CoreWorld::Settle() {
  for (auto actions = core_.TakeActions(); !actions.empty(); actions = core_.TakeActions()) {
    for (PoolAction& action : actions) std::visit([this](auto& a) { Do(a); }, action);
    while (!hold_disk && !disk_jobs.empty()) DoDiskJob();
  }
  EXPECT_EQ(core_.CheckIntegrity(), absl::OkStatus());
}

void CoreWorld::Do(MoveKv& action) {
  if (const auto* begin = std::get_if<OwnBegin>(&action.command)) granted[begin->id].tokens = begin->tokens;
  if (const auto* offer = std::get_if<OwnOffer>(&action.command)) {
    granted.at(offer->id).offered += offer->end - offer->begin;
    EXPECT_EQ(offer->checksums.size(), 2u * (offer->end - offer->begin) / kAtomTokens);
  }
  if (const auto* seal = std::get_if<OwnSeal>(&action.command)) {
    granted.at(seal->id).sealed = true;
    granted.at(seal->id).digest = seal->digest;
  }
  if (const auto* revoke = std::get_if<OwnRevoke>(&action.command)) {
    granted.at(revoke->id).revoked = true;
    core_.OnHandoffEvent(OwnEnded{revoke->id, false, revoke->reason});
  }
  if (const auto* pull = std::get_if<PullBegin>(&action.command)) pulled[pull->id] = *pull;
}

void CoreWorld::Do(SumPages& action) {
  core_.OnSummed(action.id, std::vector<std::vector<uint64_t>>(action.pages.size(), SumsOf({1, 2})));
}

void CoreWorld::DoDiskJob() {
  PoolAction job = std::move(disk_jobs.front());
  disk_jobs.pop_front();
  if (const auto* write = std::get_if<WriteBlock>(&job)) {
    EXPECT_EQ(core_.pages().state(write->page), PageState::kPinned);
    if (write_status.ok()) disk[write->name.place] = write->name.key;
    core_.OnWritten(write->name.key, write->name.place, write_status);
  } else if (const auto* read = std::get_if<ReadBlock>(&job)) {
    EXPECT_EQ(core_.pages().state(read->page), PageState::kFilling);
    absl::Status status = read_status;
    const auto it = disk.find(read->place);
    if (status.ok() && (it == disk.end() || it->second != read->key)) status = absl::DataLossError("gone");
    core_.OnRead(read->key, read->place, status, status.ok() ? SumsOf(read->key) : std::vector<uint64_t>());
  } else if (const auto* drop = std::get_if<DropSegment>(&job)) {
    dropped.push_back(drop->segment);
    std::erase_if(disk, [&](const auto& entry) { return entry.first.segment == drop->segment; });
  }
}

void CoreWorld::End(const HandoffId& id, bool held) {
  if (granted.contains(id)) {
    core_.OnHandoffEvent(OwnEnded{id, held, ""});
  } else if (held) {
    core_.OnHandoffEvent(PullHeld{id, 0});
  } else {
    Lose(id, true);
  }
  Settle();
}

void CoreWorld::Lose(const HandoffId& id, bool fenced) {
  core_.OnHandoffEvent(PullLost{id, absl::UnavailableError("lost"), fenced});
  Settle();
}

void CoreWorld::Fence(const HandoffId& id) {
  core_.OnHandoffEvent(PullFenced{id});
  Settle();
}

}  // namespace baton::pool
