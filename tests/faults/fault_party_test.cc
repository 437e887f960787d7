// The fault tests' own instruments: what they should see, they see.

#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include "services/kv_transfer/transport/loopback.h"
#include "tests/faults/party.h"
#include "tests/faults/pattern.h"

namespace baton::faults {
namespace {

using ::testing::Contains;
using ::testing::HasSubstr;

constexpr HandoffId kId{{9, 1}, {1, 1}};

TEST(GuardedPagesTest, SeesALateWriteIntoAFreePage) {
  const auto owned = *GuardedPages::Create(4);
  GuardedPages& pages = *owned;
  EXPECT_EQ(pages.LateWrites(), 0);
  pages.Page(0, 2)[77] ^= std::byte{1};
  EXPECT_EQ(pages.LateWrites(), 1);
  const PageLease all = *pages.Take(4, PageHold::kUse);  // seen, though the page is in use again
  EXPECT_EQ(pages.LateWrites(), 1);
  EXPECT_FALSE(pages.Take(1, PageHold::kUse).ok());
}

TEST(GuardedPagesTest, SeesAWrongByteAndNoneElsewhere) {
  const auto owned = *GuardedPages::Create(10);
  GuardedPages& pages = *owned;
  PageLease lease = *pages.Take(kLayout.PagesFor(kTokens), PageHold::kUse);
  for (int step = 0; step < kSteps; ++step) pages.Fill(kId, StepRect(step), lease.pages());
  EXPECT_EQ(pages.CountWrong(kId, kWholeRect, lease.pages()), 0);
  EXPECT_NE(pages.CountWrong({kId.stream, {1, 2}}, kWholeRect, lease.pages()), 0);
  pages.Page(0, lease.pages()[3])[5] ^= std::byte{1};
  EXPECT_EQ(pages.CountWrong(kId, kWholeRect, lease.pages()), 1);
}

TEST(GuardedPagesTest, FreedPagesAreOverwrittenAtOnce) {
  const auto owned = *GuardedPages::Create(8);
  GuardedPages& pages = *owned;
  PageLease lease = *pages.Take(8, PageHold::kUse);
  const std::vector<PageId> ids(lease.pages().begin(), lease.pages().end());
  pages.Fill(kId, kWholeRect, ids);
  pages.Free(std::move(lease));
  EXPECT_GT(pages.CountWrong(kId, kWholeRect, ids),
            static_cast<int64_t>(RectBytes(kLayout, kWholeRect)) * 9 / 10);
  EXPECT_EQ(pages.LateWrites(), 0);
}

TEST(ReaderSideTest, LostPagesStayQuarantinedUntilFenced) {
  const auto owned = *GuardedPages::Create(16);
  GuardedPages& pages = *owned;
  ReaderSide reader(&pages, absl::Seconds(1), [](const HandoffCommand&) {});
  const MonoTime now = absl::UnixEpoch();
  ASSERT_TRUE(reader.Pull(kId, {}, now + absl::Seconds(9)).ok());
  EXPECT_EQ(pages.pool().count(PageClass::kPulling), 8);
  reader.OnLost({kId, absl::AbortedError("x"), false}, now);
  EXPECT_EQ(pages.pool().count(PageClass::kQuarantined), 8);
  EXPECT_EQ(pages.pool().count(PageClass::kUsed), 8);  // recomputed
  reader.OnFenced({kId});
  EXPECT_EQ(pages.pool().count(PageClass::kFree), 8);
  reader.Tick(now + absl::Seconds(1));
  EXPECT_EQ(pages.pool().count(PageClass::kFree), 16);
  EXPECT_EQ(reader.wrong(), 0);
  EXPECT_EQ(reader.attended(), 1);
}

TEST(ReaderSideTest, HeldWithOtherBytesOrAnotherFirstTokenIsWrong) {
  const auto owned = *GuardedPages::Create(16);
  GuardedPages& pages = *owned;
  ReaderSide reader(&pages, absl::Seconds(1), [](const HandoffCommand&) {});
  const MonoTime now = absl::UnixEpoch();
  ASSERT_TRUE(reader.Pull(kId, {}, now + absl::Seconds(9)).ok());
  reader.OnHeld({kId, FirstTokenOf(kId) + 1}, now);
  EXPECT_GT(reader.wrong(), 1000);
}

class TwoParties : public ::testing::Test {
 protected:
  TwoParties() : owner_wire_(network_.NewTransport("owner")), reader_wire_(network_.NewTransport("reader")) {
    Party::Options options;
    options.step_time = absl::Milliseconds(1);
    options.attend_time = absl::Milliseconds(50);
    owner_ = *Party::Create(options, owner_pages_.get(), owner_wire_.get(), &clock_, Into(&owner_said_));
    reader_ = *Party::Create(options, reader_pages_.get(), reader_wire_.get(), &clock_, Into(&reader_said_));
  }
  static Party::Say Into(std::vector<std::string>* lines) {
    return [lines](const std::string& line) { lines->push_back(line); };
  }
  static std::string EpochIn(const std::vector<std::string>& said) {
    return said[0].substr(said[0].find("epoch") + 9, 32);
  }
  void Turn(int milliseconds) {
    for (int i = 0; i < milliseconds; ++i) {
      owner_->Step(absl::ZeroDuration());
      reader_->Step(absl::ZeroDuration());
      clock_.Advance(absl::Milliseconds(1));
    }
  }
  void Begin() {
    ASSERT_TRUE(owner_->Command("begin 1 1 " + EpochIn(reader_said_) + " 5000").ok());
    ASSERT_TRUE(reader_->Command("pull 1 1 owner " + EpochIn(owner_said_) + " 5000").ok());
    Turn(20);
  }

  ManualClock clock_;
  LoopbackNetwork network_{{}, &clock_};
  std::unique_ptr<GuardedPages> owner_pages_ = *GuardedPages::Create(16),
                                reader_pages_ = *GuardedPages::Create(16);
  std::vector<std::string> owner_said_, reader_said_;
  std::unique_ptr<Transport> owner_wire_, reader_wire_;
  std::unique_ptr<Party> owner_, reader_;
};

TEST_F(TwoParties, TellEveryState) {
  Begin();
  ASSERT_TRUE(owner_->Command("compute 1 1 4 0").ok());
  Turn(30);
  EXPECT_THAT(owner_said_.back(), HasSubstr("\"Leased\""));
  EXPECT_THAT(reader_said_.back(), HasSubstr("\"Pulling\", \"offers\": 4"));
  ASSERT_TRUE(owner_->Command("compute 1 1 8 1").ok());
  Turn(100);
  EXPECT_THAT(owner_said_, Contains(HasSubstr("\"Held\"")));
  EXPECT_THAT(reader_said_, Contains(HasSubstr("\"Held\"")));
  ASSERT_TRUE(reader_->Command("status").ok());
  EXPECT_THAT(reader_said_.back(), HasSubstr("\"free\": 16, "));
  EXPECT_THAT(reader_said_.back(), HasSubstr("\"wrong\": 0, \"late\": 0, \"attended\": 1"));
}

TEST_F(TwoParties, RevokeAndCancelEndIt) {
  Begin();
  ASSERT_TRUE(owner_->Command("revoke 1 1").ok());
  Turn(20);
  EXPECT_THAT(owner_said_.back(), HasSubstr("revoked: the pages are needed"));
  EXPECT_THAT(reader_said_, Contains(HasSubstr("\"Lost\"")));
  EXPECT_EQ(owner_pages_->pool().count(PageClass::kFree), 16);
}

TEST_F(TwoParties, RefuseOtherCommands) {
  for (const char* line :
       {"", "begin", "begin 1 1 xyz 5", "pull 1 1 owner", "jump 1 1", "compute 1 -1 8 1"}) {
    EXPECT_FALSE(owner_->Command(line).ok()) << line;
  }
  EXPECT_FALSE(owner_->done());
  EXPECT_TRUE(owner_->Command("quit").ok());
  EXPECT_TRUE(owner_->done());
}

}  // namespace
}  // namespace baton::faults
