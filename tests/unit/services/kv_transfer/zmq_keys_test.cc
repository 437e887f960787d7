// Who gets in over ZeroMQ: keys that are listed, and nobody else.

#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include <fstream>

#include "tests/unit/services/kv_transfer/key_folder.h"
#include "tests/unit/services/kv_transfer/wire_party.h"

namespace baton {
namespace {

using ::testing::HasSubstr;
using testing::KeyFolder;
using testing::PollUntil;
using testing::WireParty;

ZmqOptions Hasty(ZmqOptions options) {
  options.connect_within = absl::Seconds(1);
  return options;
}

class ZmqKeysTest : public ::testing::Test {
 protected:
  ZmqKeysTest() : owner_key(keys.New("owner")), reader_key(keys.New("reader")) {
    keys.List({owner_key, reader_key});
    owner = std::make_unique<WireParty>(keys.Options("owner"));
  }
  PeerId ConnectTo(WireParty& party) {
    const auto peer = party.wire->Connect(owner->wire->endpoint(), owner->wire->public_key());
    EXPECT_TRUE(peer.ok()) << peer.status();
    return peer.value_or(0);
  }
  // That what it says arrives, within a while.
  bool Reaches(WireParty& party, PeerId peer, const std::string& text) {
    return PollUntil({owner.get(), &party}, [&] {
      (void)party.wire->Send(peer, text);
      return owner->Heard(text);
    });
  }

  KeyFolder keys;
  AllowedKey owner_key, reader_key;
  std::unique_ptr<WireParty> owner;
};

TEST_F(ZmqKeysTest, AListedKeyGetsInUnderItsName) {
  WireParty reader(keys.Options("reader"));
  const PeerId peer = ConnectTo(reader);
  ASSERT_TRUE(Reaches(reader, peer, "hello"));
  const PeerId from = owner->messages[0].first;
  EXPECT_EQ(owner->wire->PeerName(from), "reader");
  EXPECT_EQ(owner->wire->Send(from, "welcome"), WireResult::kOk);
  EXPECT_TRUE(PollUntil({&reader}, [&] { return reader.Heard("welcome"); }));
  EXPECT_TRUE(owner->denied.empty());
  EXPECT_EQ(owner->wire->PeerName(4711), "");
}

TEST_F(ZmqKeysTest, AnUnlistedKeyGetsNothing) {
  const AllowedKey stranger_key = keys.New("stranger");
  WireParty stranger(Hasty(keys.Options("stranger")));
  const PeerId peer = ConnectTo(stranger);
  EXPECT_EQ(stranger.wire->Send(peer, "let me in"), WireResult::kOk);
  EXPECT_EQ(stranger.wire->PostReads({peer, 1, "bytes", "", {}}), WireResult::kOk);
  ASSERT_TRUE(PollUntil({owner.get(), &stranger},
                        [&] { return stranger.Saw(peer, PeerChange::kGone) && !owner->denied.empty(); }));
  EXPECT_THAT(stranger.changes[0].why, HasSubstr("does not let our key in"));
  EXPECT_THAT(owner->denied[0], HasSubstr(KeyText(stranger_key.curve_key)));
  EXPECT_TRUE(owner->messages.empty());
  EXPECT_EQ(owner->reads, 0);
}

TEST_F(ZmqKeysTest, AKeyThatIsListedAMomentLaterGetsIn) {
  const AllowedKey late_key = keys.New("late");
  WireParty late(keys.Options("late"));
  const PeerId peer = ConnectTo(late);
  (void)late.wire->Send(peer, "too soon");
  ASSERT_TRUE(PollUntil({owner.get(), &late}, [&] { return !owner->denied.empty(); }));
  keys.List({owner_key, reader_key, late_key});
  EXPECT_TRUE(Reaches(late, peer, "in time"));
  EXPECT_FALSE(late.Saw(peer, PeerChange::kGone));
}

TEST_F(ZmqKeysTest, KeysOfOneLifeAndNoKeysGetNothing) {
  WireParty alive(Hasty(KeyFolder::Life())), plain(Hasty(ZmqOptions{}));
  const PeerId with = ConnectTo(alive);
  const PeerId without = *plain.wire->Connect(owner->wire->endpoint(), "");
  (void)alive.wire->Send(with, "x");
  (void)plain.wire->Send(without, "x");
  EXPECT_TRUE(PollUntil({owner.get(), &alive, &plain}, [&] {
    return alive.Saw(with, PeerChange::kGone) && plain.Saw(without, PeerChange::kGone);
  }));
  EXPECT_GE(owner->denied.size(), 2u);
  EXPECT_TRUE(owner->messages.empty());
}

TEST_F(ZmqKeysTest, AnOwnerThatIsNotListedIsNotConnectedTo) {
  keys.New("stranger");
  WireParty stranger(keys.Options("stranger")), alive(KeyFolder::Life());
  WireParty reader(keys.Options("reader"));
  for (WireParty* party : {&stranger, &alive}) {
    const auto peer = reader.wire->Connect(party->wire->endpoint(), party->wire->public_key());
    EXPECT_TRUE(absl::IsPermissionDenied(peer.status())) << peer.status();
  }
  EXPECT_FALSE(reader.wire->Connect(owner->wire->endpoint(), "").ok());
}

TEST_F(ZmqKeysTest, ARemovedKeyIsCutOffAndOthersAreNot) {
  const AllowedKey other_key = keys.New("other");
  keys.List({owner_key, reader_key, other_key});
  owner = std::make_unique<WireParty>(keys.Options("owner"));
  WireParty reader(Hasty(keys.Options("reader"))), other(keys.Options("other"));
  const PeerId readers = ConnectTo(reader), others = ConnectTo(other);
  ASSERT_TRUE(Reaches(reader, readers, "first"));
  const PeerId from = owner->messages.back().first;
  ASSERT_TRUE(Reaches(other, others, "second"));

  keys.List({owner_key, other_key});
  const MonoTime removed = SteadyClock().Now();
  ASSERT_TRUE(PollUntil({owner.get()}, [&] { return owner->Saw(from, PeerChange::kDenied); }));
  EXPECT_LT(SteadyClock().Now() - removed, absl::Seconds(3));
  EXPECT_EQ(owner->wire->Send(from, "x"), WireResult::kGone);
  owner->messages.clear();
  (void)reader.wire->Send(readers, "still here");
  ASSERT_TRUE(
      PollUntil({owner.get(), &reader, &other}, [&] { return reader.Saw(readers, PeerChange::kGone); }));
  EXPECT_TRUE(owner->messages.empty());
  EXPECT_TRUE(Reaches(other, others, "third"));
  EXPECT_TRUE(other.changes.empty());
}

TEST_F(ZmqKeysTest, AKeyIsRotatedWhileItIsInUse) {
  WireParty reader(keys.Options("reader"));
  const PeerId peer = ConnectTo(reader);
  ASSERT_TRUE(Reaches(reader, peer, "with the old key"));
  const std::string known_by = owner->wire->public_key();

  const IdentityKey fresh = IdentityKey::Generate();
  const AllowedKey fresh_key = *ParseAllowedKey(KeyText(fresh.public_key()), "reader");
  keys.List({owner_key, reader_key, fresh_key});
  ASSERT_TRUE(Reaches(reader, peer, "both are listed"));
  keys.Use(fresh, "reader");
  ASSERT_TRUE(PollUntil({owner.get(), &reader}, [&] { return reader.Saw(peer, PeerChange::kBack); }));
  ASSERT_TRUE(Reaches(reader, peer, "with the new key"));
  EXPECT_EQ(owner->wire->PeerName(owner->messages.back().first), "reader");
  keys.List({owner_key, fresh_key});
  const MonoTime wait = SteadyClock().Now() + absl::Seconds(3);  // until every list was read again
  PollUntil({owner.get(), &reader}, [&] { return SteadyClock().Now() > wait; });
  ASSERT_TRUE(Reaches(reader, peer, "the old one is gone"));
  for (const auto& told : owner->changes) EXPECT_NE(told.change, PeerChange::kDenied) << told.why;
  EXPECT_FALSE(reader.Saw(peer, PeerChange::kGone));
  EXPECT_EQ(owner->wire->public_key(), known_by);
}

TEST_F(ZmqKeysTest, AnOwnersKeyIsRotatedWhileItIsConnectedTo) {
  WireParty reader(keys.Options("reader"));
  const PeerId peer = ConnectTo(reader);
  ASSERT_TRUE(Reaches(reader, peer, "hello"));
  const std::string old = owner->wire->public_key();
  const IdentityKey fresh = IdentityKey::Generate();
  const AllowedKey fresh_key = *ParseAllowedKey(KeyText(fresh.public_key()), "owner");
  keys.List({owner_key, fresh_key, reader_key});
  keys.Use(fresh, "owner");
  ASSERT_TRUE(PollUntil({owner.get(), &reader}, [&] { return owner->wire->public_key() != old; }));
  EXPECT_EQ(ServerKeyOf(owner->wire->public_key()), ServerKeyOf(old));
  EXPECT_EQ(*reader.wire->Connect(owner->wire->endpoint(), old), peer) << "the old word still holds";
  EXPECT_EQ(ConnectTo(reader), peer) << "and the new one names the same connection";
  keys.List({fresh_key, reader_key});
  const MonoTime wait = SteadyClock().Now() + absl::Seconds(3);
  PollUntil({owner.get(), &reader}, [&] { return SteadyClock().Now() > wait; });
  EXPECT_TRUE(Reaches(reader, peer, "still"));
  EXPECT_FALSE(reader.wire->Connect(owner->wire->endpoint(), old).ok());
}

TEST_F(ZmqKeysTest, ABadFileChangesNothing) {
  WireParty reader(keys.Options("reader"));
  const PeerId peer = ConnectTo(reader);
  std::ofstream(keys.ListFile(), std::ios::trunc) << "garbage\n";
  std::filesystem::permissions(keys.KeyFile("owner"), std::filesystem::perms(0644));
  const MonoTime wait = SteadyClock().Now() + absl::Seconds(3);
  PollUntil({owner.get(), &reader}, [&] { return SteadyClock().Now() > wait; });
  EXPECT_TRUE(Reaches(reader, peer, "hello"));
  EXPECT_TRUE(absl::IsPermissionDenied(NewZmqTransport(keys.Options("owner")).status()));
  EXPECT_TRUE(absl::IsInvalidArgument(NewZmqTransport(keys.Options("reader")).status()));
}

TEST_F(ZmqKeysTest, KeyFilesGoTogetherAndWithCurve) {
  ZmqOptions options = keys.Options("owner");
  options.allowed_keys_file.clear();
  EXPECT_TRUE(absl::IsInvalidArgument(NewZmqTransport(options).status()));
  options = keys.Options("owner");
  options.curve_public_key.clear(), options.curve_secret_key.clear();
  EXPECT_TRUE(absl::IsInvalidArgument(NewZmqTransport(options).status()));
  EXPECT_TRUE(absl::IsNotFound(NewZmqTransport(keys.Options("nobody")).status()));
}

}  // namespace
}  // namespace baton
