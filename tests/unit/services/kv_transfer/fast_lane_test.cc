// FastWire's lanes: peers of one host come by one, and lose it with what proved them.

#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include "services/kv_transfer/transport/fast_wire.h"
#include "tests/unit/services/kv_transfer/key_folder.h"
#include "tests/unit/services/kv_transfer/wire_party.h"

namespace baton {
namespace {

using testing::KeyFolder;
using testing::PollUntil;
using testing::WireParty;

constexpr size_t kBytes = 1 << 20;

class FastLaneTest : public ::testing::Test {
 protected:
  std::unique_ptr<WireParty> Start(const ZmqOptions& zmq, const SharedMemory* memory,
                                   WireChoice choice = WireChoice::kAuto) {
    auto wire = NewFastWire({.zmq = zmq, .choice = choice, .shared = {memory}}, &clock);
    EXPECT_TRUE(wire.ok()) << wire.status();
    EXPECT_TRUE((*wire)->Register(memory->span()).ok());
    return std::make_unique<WireParty>(*std::move(wire));
  }
  void StartBoth(const ZmqOptions& owners, const ZmqOptions& readers) {
    owner = Start(owners, ours.get());
    reader = Start(readers, theirs.get());
    peer = *reader->wire->Connect(owner->wire->endpoint(), owner->wire->public_key());
  }
  void Read() {
    const uint64_t tag = ++last_tag;
    ReadBatch batch{peer, tag, "", owner->wire->RemoteKey(0), {{0, 0, 0, 0, 64}}, {}};
    ASSERT_EQ(reader->wire->PostReads(std::move(batch)), WireResult::kOk);
    ASSERT_TRUE(Until([&] { return reader->done.contains(tag); }));
  }
  template <typename Done>
  bool Until(Done done) {
    return PollUntil({owner.get(), reader.get()}, done);
  }
  std::string How() const { return reader->wire->links()[0].messages; }
  bool Reaches(const std::string& text) {
    EXPECT_EQ(reader->wire->Send(peer, text), WireResult::kOk);
    return Until([&] { return owner->Heard(text); });
  }

  const SteadyClock clock;
  const std::unique_ptr<SharedMemory> ours = *SharedMemory::Create(kBytes);
  const std::unique_ptr<SharedMemory> theirs = *SharedMemory::Create(kBytes);
  std::unique_ptr<WireParty> owner, reader;
  PeerId peer = 0;
  uint64_t last_tag = 0;
};

TEST_F(FastLaneTest, IsThereOnceMemoryIsMappedAndMeasured) {
  StartBoth({}, {});
  ASSERT_TRUE(Reaches("hello"));
  EXPECT_TRUE(reader->wire->links().empty());
  Read();
  ASSERT_TRUE(Until([&] { return How() == "lane"; }));
  ASSERT_TRUE(Until([&] { return reader->wire->links()[0].round_trip > absl::ZeroDuration(); }));
  ASSERT_TRUE(Reaches("over the lane"));
  const PeerId from = owner->messages.back().first;
  EXPECT_EQ(from, owner->messages.front().first) << "the same peer, whatever the way";
  EXPECT_EQ(owner->wire->Send(from, "welcome"), WireResult::kOk);
  EXPECT_TRUE(Until([&] { return reader->Heard("welcome"); }));
  const std::string large(100 << 10, 'x');
  EXPECT_EQ(owner->wire->Send(from, large), WireResult::kOk);
  EXPECT_TRUE(Until([&] { return reader->Heard(large); })) << "by the other way";
  EXPECT_EQ(owner->malformed + reader->malformed, 0);
  EXPECT_TRUE(owner->denied.empty());
}

TEST_F(FastLaneTest, AMessageWakesASleeperAtOnce) {
  StartBoth({}, {});
  Read();
  ASSERT_TRUE(Until([&] { return How() == "lane"; }));
  EXPECT_EQ(reader->wire->Send(peer, "wake up"), WireResult::kOk);
  reader->wire->Poll(absl::ZeroDuration(), reader.get());
  const MonoTime begun = clock.Now();
  while (!owner->Heard("wake up") && clock.Now() < begun + absl::Seconds(20))
    owner->wire->Poll(absl::Seconds(20), owner.get());
  EXPECT_LT(clock.Now() - begun, absl::Seconds(10));
}

TEST_F(FastLaneTest, NoneWhereTheWayIsAnother) {
  owner = Start({}, ours.get(), WireChoice::kTcp);
  reader = Start({}, theirs.get(), WireChoice::kTcp);
  peer = *reader->wire->Connect(owner->wire->endpoint(), "");
  Read();
  ASSERT_TRUE(Reaches("hello"));
  ASSERT_TRUE(Until([&] { return reader->wire->links()[0].round_trip > absl::ZeroDuration(); }));
  EXPECT_EQ(How(), "zmq");
}

TEST_F(FastLaneTest, AnotherLifeOfThePeerGetsALaneOfItsOwn) {
  StartBoth({}, {});
  Read();
  ASSERT_TRUE(Until([&] { return How() == "lane"; }));
  ZmqOptions same;
  same.bind = owner->wire->endpoint();
  owner = nullptr;
  owner = Start(same, ours.get());
  ASSERT_TRUE(Until([&] { return reader->Saw(peer, PeerChange::kBack); }));
  EXPECT_TRUE(Reaches("are you there?"));
  Read();
  EXPECT_TRUE(Until([&] { return How() == "lane"; }));
  EXPECT_TRUE(Reaches("you are"));
}

TEST_F(FastLaneTest, OneWhoIsNotListedAnyMoreIsNotHeardOverIt) {
  const KeyFolder keys;
  const AllowedKey owner_key = keys.New("owner"), reader_key = keys.New("reader");
  keys.List({owner_key, reader_key});
  StartBoth(keys.Options("owner"), keys.Options("reader"));
  Read();
  ASSERT_TRUE(Until([&] { return How() == "lane"; }));
  ASSERT_TRUE(Reaches("listed"));
  const PeerId from = owner->messages.back().first;
  EXPECT_EQ(owner->wire->PeerName(from), "reader");
  keys.List({owner_key});
  ASSERT_TRUE(PollUntil({owner.get()}, [&] { return owner->Saw(from, PeerChange::kDenied); }));
  (void)reader->wire->Send(peer, "not listed");
  EXPECT_EQ(owner->wire->Send(from, "to one not listed"), WireResult::kGone);
  EXPECT_TRUE(Until([&] { return How() == "zmq" || reader->Saw(peer, PeerChange::kGone); }));
  EXPECT_FALSE(owner->Heard("not listed"));
}

TEST_F(FastLaneTest, ANewKeyOfOursMakesItAnew) {
  const KeyFolder keys;
  const AllowedKey owner_key = keys.New("owner"), old_key = keys.New("reader");
  keys.List({owner_key, old_key});
  StartBoth(keys.Options("owner"), keys.Options("reader"));
  Read();
  ASSERT_TRUE(Until([&] { return How() == "lane"; }));
  ASSERT_TRUE(Reaches("with the old key"));
  const PeerId before = owner->messages.back().first;
  keys.List({owner_key, old_key, keys.New("reader")});
  ASSERT_TRUE(Until([&] { return reader->Saw(peer, PeerChange::kBack); }));
  ASSERT_TRUE(Until([&] { return How() == "lane"; }));
  ASSERT_TRUE(Reaches("with the new key"));
  EXPECT_NE(owner->messages.back().first, before);
  EXPECT_EQ(owner->wire->PeerName(owner->messages.back().first), "reader");
}

}  // namespace
}  // namespace baton
