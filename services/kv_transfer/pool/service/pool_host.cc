#include "services/kv_transfer/pool/service/pool_host.h"

#include <utility>

#include "absl/strings/str_cat.h"
#include "common/status_macros.h"

namespace baton::pool {

std::shared_ptr<PoolNode> PoolHost::node() const {
  MutexLock lock(&mutex_);
  return node_;
}

absl::StatusOr<std::shared_ptr<PoolNode>> PoolHost::Attach(const std::string& fingerprint,
                                                           const KvLayout& layout) {
  BATON_RETURN_IF_ERROR(CheckLayout(layout));
  if (fingerprint.empty() || fingerprint.size() > 1024)
    return absl::InvalidArgumentError("a fingerprint has 1 to 1024 characters");
  MutexLock one_at_a_time(&making_);
  if (const std::shared_ptr<PoolNode> there = node()) {
    if (there->fingerprint() == fingerprint && there->layout() == layout) return there;
    return absl::FailedPreconditionError(
        absl::StrCat("this pool holds KV of ", there->fingerprint(), " in blocks of ",
                     there->layout().PageTokens(), " tokens; yours is ", fingerprint, " in blocks of ",
                     layout.PageTokens(), ": restart the pool to change it"));
  }
  BATON_ASSIGN_OR_RETURN(std::unique_ptr<PoolNode> made,
                         PoolNode::Start(options_, fingerprint, layout, wire_, &folder_, clock_));
  std::shared_ptr<PoolNode> node = std::move(made);
  MutexLock lock(&mutex_);
  return node_ = std::move(node);
}

}  // namespace baton::pool
