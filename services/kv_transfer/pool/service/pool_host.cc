#include "services/kv_transfer/pool/service/pool_host.h"

#include <utility>

#include "absl/strings/str_cat.h"
#include "common/status_macros.h"

namespace baton::pool {
namespace {

constexpr size_t kMostWaiting = 1024;

absl::Status CheckGuest(const PoolNode& node, const std::string& fingerprint, const KvLayout& layout) {
  if (node.fingerprint() == fingerprint && node.layout() == layout) return absl::OkStatus();
  return absl::FailedPreconditionError(absl::StrCat("this pool holds KV of ", node.fingerprint(),
                                                    " in blocks of ", node.layout().PageTokens(),
                                                    " tokens; yours is ", fingerprint, " in blocks of ",
                                                    layout.PageTokens(), ": restart the pool to change it"));
}

absl::Status Gone() {
  return absl::UnavailableError("the pool is shutting down");
}

}  // namespace

PoolHost::PoolHost(PoolNodeOptions options, WireMaker wire, std::unique_ptr<DiskFolder> folder,
                   const Clock* clock)
    : options_(std::move(options)), wire_(std::move(wire)), clock_(clock), folder_(std::move(folder)) {
  thread_ = std::thread([this] { Run(); });
}

PoolHost::~PoolHost() {
  {
    MutexLock lock(&mutex_);
    stopping_ = true;
  }
  thread_.join();
}

std::shared_ptr<PoolNode> PoolHost::node() const {
  MutexLock lock(&mutex_);
  return node_;
}

void PoolHost::Attach(std::string fingerprint, const KvLayout& layout, Attached done) {
  if (const absl::Status sane = CheckLayout(layout); !sane.ok()) return done(sane);
  if (fingerprint.empty() || fingerprint.size() > 1024)
    return done(absl::InvalidArgumentError("a fingerprint has 1 to 1024 characters"));
  if (const std::shared_ptr<PoolNode> there = node()) {
    const absl::Status fits = CheckGuest(*there, fingerprint, layout);
    if (!fits.ok()) return done(fits);
    return done(there);
  }
  absl::Status refused = Gone();
  {
    MutexLock lock(&mutex_);
    if (!stopping_ && guests_.size() < kMostWaiting)
      return guests_.push_back({std::move(fingerprint), layout, std::move(done)});
    if (!stopping_) refused = absl::ResourceExhaustedError("too many wait for the pool to start");
  }
  done(refused);
}

absl::StatusOr<std::shared_ptr<PoolNode>> PoolHost::Serve(const Guest& guest) {
  std::shared_ptr<PoolNode> made = node();
  if (made == nullptr) {
    BATON_ASSIGN_OR_RETURN(
        made, PoolNode::Start(options_, guest.fingerprint, guest.layout, wire_, &folder_, clock_));
    MutexLock lock(&mutex_);
    node_ = made;
  }
  BATON_RETURN_IF_ERROR(CheckGuest(*made, guest.fingerprint, guest.layout));
  return made;
}

void PoolHost::Run() {
  for (bool over = false; !over;) {
    std::deque<Guest> guests;
    {
      MutexLock lock(&mutex_);
      const auto ready = [this]() ABSL_NO_THREAD_SAFETY_ANALYSIS { return stopping_ || !guests_.empty(); };
      mutex_.Await(ready, absl::InfiniteDuration());
      guests.swap(guests_);
      over = stopping_;
    }
    for (Guest& guest : guests) guest.done(over ? Gone() : Serve(guest));
  }
}

}  // namespace baton::pool
