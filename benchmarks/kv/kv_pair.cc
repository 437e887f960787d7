#include "benchmarks/kv/kv_pair.h"

#include <sys/socket.h>
#include <sys/wait.h>
#include <unistd.h>

#include <cstring>
#include <utility>

#include "absl/synchronization/mutex.h"
#include "benchmarks/kv/kv_owner.h"
#include "common/checksum.h"
#include "common/status_macros.h"

namespace baton {

class KvPair::Waiter final : public HandoffEventSink {
 public:
  void OnHandoffEvent(HandoffEvent event) override {
    absl::MutexLock lock(&mutex_);
    if (std::holds_alternative<PullHeld>(event)) ++held_;
    if (const auto* lost = std::get_if<PullLost>(&event)) why_ = lost->status;
  }
  // Until `held` are held since the start, or one is lost.
  absl::Status WaitFor(int held) {
    absl::MutexLock lock(&mutex_);
    wanted_ = held;
    const auto over = [](Waiter* w) { return w->held_ >= w->wanted_ || !w->why_.ok(); };
    if (!mutex_.AwaitWithTimeout(absl::Condition(+over, this), absl::Seconds(10)))
      return absl::DeadlineExceededError("a handoff does not end");
    return why_;
  }

 private:
  absl::Mutex mutex_;
  int held_ = 0, wanted_ = 0;  // since the start
  absl::Status why_;
};

KvPair::KvPair(const KvCase& kv) : kv_(kv) {}

absl::StatusOr<std::unique_ptr<KvPair>> KvPair::Start(const KvCase& kv) {
  std::unique_ptr<KvPair> pair(new KvPair(kv));
  int ends[2];
  if (socketpair(AF_UNIX, SOCK_STREAM, 0, ends) != 0) return absl::UnavailableError("socketpair");
  pair->child_ = fork();
  if (pair->child_ < 0) return absl::UnavailableError("fork");
  if (pair->child_ == 0) {
    close(ends[0]);
    _exit(RunOwner(kv, ends[1]));
  }
  close(ends[1]);
  pair->socket_ = ends[0];
  OwnerHello hello;
  if (recv(pair->socket_, &hello, sizeof hello, MSG_WAITALL) != sizeof hello)
    return absl::UnavailableError("the owner did not start");
  pair->endpoint_ = hello.endpoint;
  BATON_ASSIGN_OR_RETURN(pair->pool_, BenchPool::Create(kv));
  BATON_ASSIGN_OR_RETURN(pair->theirs_, SharedMapping::Open(hello.memory));
  pair->theirs_->Populate(0, pair->theirs_->span().size());
  pair->waiter_ = std::make_unique<Waiter>();
  BATON_ASSIGN_OR_RETURN(std::unique_ptr<Transport> wire,
                         NewFastWire({.choice = kv.wire, .shared = {&pair->pool_->memory()}}, &pair->clock_));
  BATON_ASSIGN_OR_RETURN(pair->node_, HandoffNode::Start({}, kBenchReader, pair->pool_.get(), std::move(wire),
                                                         &pair->clock_, pair->waiter_.get()));
  return pair;
}

KvPair::~KvPair() {
  node_.reset();
  if (socket_ >= 0) close(socket_);
  if (child_ > 0) waitpid(child_, nullptr, 0);
}

double KvPair::Ask(char order, uint64_t n, int64_t tokens, double argument) {
  const OwnerOrder asked{order, n, tokens, argument};
  double answer = 0;
  if (write(socket_, &asked, sizeof asked) != sizeof asked) return -1;
  return recv(socket_, &answer, sizeof answer, MSG_WAITALL) == sizeof answer ? answer : -1;
}

absl::StatusOr<double> KvPair::Run(char order, int64_t tokens, int count, double argument) {
  const uint64_t first = next_;
  next_ += count;
  if (order == 'H') {
    for (int i = 0; i < count; ++i) Ask(order, first + i, tokens, argument);
  }
  std::vector<PullBegin> pulls;
  for (int i = 0; i < count; ++i) {
    pulls.push_back({BenchId(first + i),
                     {endpoint_, "", kBenchOwner, 0},
                     0,
                     0,
                     tokens,
                     PagesOf(kv_, first + i, tokens, false),
                     kBenchDigest,
                     clock_.Now() + absl::Seconds(60)});
  }
  MonoTime begun = clock_.Now();
  for (PullBegin& pull : pulls) BATON_RETURN_IF_ERROR(node_->Submit(std::move(pull)));
  if (order == 'O') begun = absl::UnixEpoch() + absl::Seconds(Ask(order, first, tokens, argument));
  BATON_RETURN_IF_ERROR(waiter_->WaitFor(handoffs_ += count));
  return absl::ToDoubleSeconds(clock_.Now() - begun);
}

absl::StatusOr<double> KvPair::Handoff(int64_t tokens) {
  return Run('H', tokens, 1, 0);
}
absl::StatusOr<double> KvPair::Handoffs(int64_t tokens, int readers) {
  return Run('H', tokens, readers, 0);
}
absl::StatusOr<double> KvPair::Overlapped(int64_t tokens, absl::Duration compute) {
  return Run('O', tokens, 1, absl::ToDoubleSeconds(compute));
}

double KvPair::Memcpy(int64_t tokens) {
  const std::vector<PageId> from = PagesOf(kv_, next_, tokens, true), to = PagesOf(kv_, next_, tokens, false);
  ++next_;
  const size_t page = kv_.layout.PageBytes();
  const MonoTime begun = clock_.Now();
  for (size_t i = 0; i < from.size(); ++i)
    std::memcpy(pool_->Page(0, to[i]).data(), theirs_->span().data() + from[i] * page, page);
  return absl::ToDoubleSeconds(clock_.Now() - begun);
}

double KvPair::Pass(int64_t tokens, bool checked) {
  const std::vector<PageId> from = PagesOf(kv_, next_, tokens, true), to = PagesOf(kv_, next_, tokens, false);
  const size_t page = kv_.layout.PageBytes(), unit = kv_.layout.UnitBytes();
  const MonoTime begun = clock_.Now();
  uint64_t sum = 0;
  for (size_t i = 0; i < from.size(); ++i) {
    for (size_t at = 0; at < page; at += unit) {
      const absl::Span<const std::byte> bytes = theirs_->span().subspan(from[i] * page + at, unit);
      std::byte* const out = pool_->Page(0, to[i]).data() + at;
      if (checked) {
        sum ^= CopyChecksum64(bytes, out);
      } else {
        CopyPastCaches(bytes, out);
      }
    }
  }
  CopiesDone();
  return absl::ToDoubleSeconds(clock_.Now() - begun) + (sum == 1 ? 1e-12 : 0);
}

double KvPair::OwnerChecksums(int64_t tokens) {
  return Ask('S', 0, tokens, 0);
}
double KvPair::ChildCpuSeconds() {
  return Ask('C', 0, 0, 0);
}
double KvPair::BytesOf(int64_t tokens) const {
  return static_cast<double>(RectBytes(kv_.layout, {0, tokens, 0, kv_.layout.layers}));
}

}  // namespace baton
