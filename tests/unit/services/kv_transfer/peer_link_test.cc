// The choice of a way to one peer, with time, paths and messages in the test's hand: pings that are lost, and
// ways that break and come back.

#include "services/kv_transfer/transport/peer_link.h"

#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include <set>

namespace baton {
namespace {

using ::testing::ElementsAre;

// What the fake paths of one test share: which ways are there, and what is posted on them.
struct Ways {
  std::set<WireChoice> there;
  std::set<WireChoice> broken;
  std::set<WireChoice> silent;  // nothing on these ends
  std::vector<uint64_t> posted, aborted;
};

class FakePath final : public BytePath {
 public:
  FakePath(WireChoice kind, Ways* ways) : kind_(kind), ways_(ways) {}
  absl::string_view name() const override { return WireChoiceName(kind_); }
  WireResult Post(ReadBatch batch) override {
    ways_->posted.push_back(batch.tag);
    done_.push_back({batch.tag, absl::OkStatus()});
    return WireResult::kOk;
  }
  WireResult Probe(uint64_t tag, const std::string&, size_t) override {
    done_.push_back({tag, absl::OkStatus()});
    return WireResult::kOk;
  }
  void Abort(uint64_t tag) override { ways_->aborted.push_back(tag); }
  bool Progress(std::vector<ReadDone>* done) override {
    if (broken() || ways_->silent.contains(kind_)) return false;
    for (ReadDone& read : std::exchange(done_, {})) done->push_back(std::move(read));
    return false;
  }
  bool broken() const override { return ways_->broken.contains(kind_); }

 private:
  const WireChoice kind_;
  Ways* const ways_;
  std::vector<ReadDone> done_;
};

class PeerLinkTest : public ::testing::Test, public PeerLink::Host {
 protected:
  const FastWireOptions& options() const override { return options_; }
  MonoTime Now() const override { return now_; }
  uint64_t NewTag() override { return ++last_tag_; }
  absl::StatusOr<std::unique_ptr<BytePath>> Open(WireChoice kind, const WireKey&, const std::string&,
                                                 const std::string&) override {
    opened_.push_back(kind);
    if (!ways_.there.contains(kind)) return absl::UnavailableError("not there");
    return std::make_unique<FakePath>(kind, &ways_);
  }
  WireResult PostInline(ReadBatch batch) override {
    inline_.push_back(batch.tag);
    return WireResult::kOk;
  }
  WireResult Ping(PeerId, uint64_t nonce, uint32_t bytes) override {
    (bytes > 0 ? pings_ : trips_).push_back(nonce);
    if (answering_) pongs_.push_back(nonce);
    return WireResult::kOk;
  }

  void Read() {
    EXPECT_EQ(link_.Post({.peer = 1, .tag = 1000 + ++reads_, .remote_key = key_}), WireResult::kOk);
  }
  // Until nothing happens any more without time.
  void Settle() {
    for (int i = 0; i < 20; ++i) {
      link_.Progress(&done_);
      for (const uint64_t nonce : std::exchange(pongs_, {})) link_.OnPong(nonce);
    }
  }
  void Pass(absl::Duration time) {
    now_ += time;
    Settle();
  }
  std::string Wire() const { return link_.facts().wire; }

  FastWireOptions options_;
  MonoTime now_ = absl::UnixEpoch();
  uint64_t last_tag_ = 0, reads_ = 0;
  Ways ways_;
  bool answering_ = true;
  std::vector<WireChoice> opened_;
  std::vector<uint64_t> inline_, pings_, trips_, pongs_;
  std::vector<ReadDone> done_;
  const std::string key_ = EncodeWireKey({.process = {1, 2}, .bytes = 8 << 20});
  PeerLink link_{1, "tcp://10.0.0.1:9", this};
};

TEST_F(PeerLinkTest, ARoundTripIsMeasuredWhileNothingIsRead) {
  ways_.there = {WireChoice::kShm};
  answering_ = false;
  Read();
  Settle();
  EXPECT_EQ(Wire(), "shm");
  ASSERT_EQ(trips_.size(), 1u) << "when the read was done";
  Read();
  now_ += absl::Milliseconds(5);
  link_.OnPong(trips_[0]);
  EXPECT_EQ(link_.facts().round_trip, absl::ZeroDuration()) << "a read was under way meanwhile";
  Settle();
  ASSERT_EQ(trips_.size(), 2u) << "once more";
  now_ += absl::Microseconds(50);
  link_.OnPong(trips_[1]);
  EXPECT_EQ(link_.facts().round_trip, absl::Microseconds(50));
}

TEST_F(PeerLinkTest, ALostPingIsSentAgain) {
  answering_ = false;
  Read();
  Settle();
  EXPECT_EQ(pings_.size(), 1u);
  Pass(absl::Milliseconds(199));
  EXPECT_EQ(pings_.size(), 1u);
  answering_ = true;
  Pass(absl::Milliseconds(1));
  EXPECT_EQ(Wire(), "zmq");
  EXPECT_GT(link_.facts().gbps, 0);
  EXPECT_THAT(inline_, ElementsAre(1001));
}

TEST_F(PeerLinkTest, APeerWhosePingsAreAllLostIsReadFromUnmeasured) {
  answering_ = false;
  Read();
  Settle();
  for (int i = 0; i < 12; ++i) Pass(absl::Milliseconds(200));
  EXPECT_EQ(Wire(), "zmq");
  EXPECT_EQ(link_.facts().gbps, 0);
  EXPECT_THAT(inline_, ElementsAre(1001));
}

TEST_F(PeerLinkTest, UnlessASpeedIsAskedFor) {
  options_.min_gbps = 1;
  answering_ = false;
  Read();
  Settle();
  for (int i = 0; i < 12; ++i) Pass(absl::Milliseconds(200));
  EXPECT_EQ(Wire(), "none");
  ASSERT_EQ(done_.size(), 1u);
  EXPECT_TRUE(absl::IsFailedPrecondition(done_[0].status));
}

TEST_F(PeerLinkTest, AfterAStreamBrokeItIsTriedAgainAfterGrowingPauses) {
  ways_.there = {WireChoice::kTcp};
  Read();
  Settle();
  EXPECT_EQ(Wire(), "tcp");
  ways_.there.clear();
  ways_.broken = {WireChoice::kTcp};
  Read();
  Settle();
  EXPECT_EQ(Wire(), "zmq");
  EXPECT_THAT(inline_, ElementsAre(1002));
  // From 0.1 s on, doubling.
  opened_.clear();
  for (int i = 0; i < 40; ++i) {
    Pass(absl::Milliseconds(50));
    Read();
    Settle();
    EXPECT_EQ(Wire(), "zmq");
  }
  EXPECT_EQ(std::count(opened_.begin(), opened_.end(), WireChoice::kTcp), 4) << "in 2 s";
  ways_.there = {WireChoice::kTcp};
  ways_.broken.clear();
  Pass(absl::Seconds(4));
  Read();
  Settle();
  EXPECT_EQ(Wire(), "tcp");
  Read();
  Settle();
  EXPECT_EQ(ways_.posted.back(), 1000 + reads_);
  opened_.clear();
  Pass(absl::Minutes(1));
  Read();
  Settle();
  EXPECT_TRUE(opened_.empty()) << "it is back: nothing more is looked for";
  EXPECT_EQ(inline_.size(), 42u);
}

TEST_F(PeerLinkTest, ReadsGoOnWhileABetterWayIsLookedFor) {
  ways_.there = {WireChoice::kTcp};
  Read();
  Settle();
  ways_.broken = {WireChoice::kTcp};
  Read();
  Settle();
  EXPECT_EQ(Wire(), "zmq");
  ways_.broken.clear();
  ways_.silent = {WireChoice::kTcp};  // connects, and then says nothing
  for (int i = 0; i < 100; ++i) {
    Pass(absl::Milliseconds(100));
    const size_t before = inline_.size();
    Read();
    EXPECT_EQ(inline_.size(), before + 1) << "at once";
    EXPECT_EQ(Wire(), "zmq");
  }
  EXPECT_LE(std::count(opened_.begin(), opened_.end(), WireChoice::kTcp), 6);
  ways_.silent.clear();
  for (int i = 0; i < 400 && Wire() != "tcp"; ++i) {
    Pass(absl::Milliseconds(100));
    Read();
  }
  EXPECT_EQ(Wire(), "tcp");
}

TEST_F(PeerLinkTest, WhatIsUnderWayOnAWayThatIsLeftIsDoneThereOnce) {
  ways_.there = {WireChoice::kShm, WireChoice::kTcp};
  Read();
  Settle();
  EXPECT_EQ(Wire(), "shm");
  ways_.broken = {WireChoice::kShm};
  Read();
  Settle();
  EXPECT_EQ(Wire(), "tcp");
  done_.clear();
  ways_.silent = {WireChoice::kTcp};
  ways_.broken.clear();
  now_ += absl::Milliseconds(200);
  Read();  // 1003, which stays under way; it begins the look
  Settle();
  EXPECT_EQ(Wire(), "shm");
  EXPECT_TRUE(done_.empty());
  Read();
  Settle();
  ASSERT_EQ(done_.size(), 1u);
  EXPECT_EQ(done_[0].tag, 1004u);
  link_.Abort(1003, &done_);
  EXPECT_THAT(ways_.aborted, ::testing::Contains(1003));
  ways_.silent.clear();
  Settle();
  ASSERT_EQ(done_.size(), 2u);
  EXPECT_EQ(done_[1].tag, 1003u);
  link_.Close(&done_);
  EXPECT_EQ(done_.size(), 2u);
}

TEST_F(PeerLinkTest, AWayThatNeverWasThereIsNotLookedForAgain) {
  Read();
  Settle();
  EXPECT_EQ(Wire(), "zmq");
  opened_.clear();
  Pass(absl::Minutes(5));
  Read();
  Settle();
  EXPECT_TRUE(opened_.empty());
}

}  // namespace
}  // namespace baton
