#include "services/kv_transfer/transport/mapped_path.h"

#include <poll.h>

#include <algorithm>
#include <utility>

#include "common/status_macros.h"

namespace baton {
namespace {

constexpr size_t kBytesPerProgress = 4 << 20;  // a quarter of a millisecond
constexpr size_t kPopulateAtOnce = 16 << 20;
constexpr size_t kMaxWindows = 64;  // ranks of a peer
constexpr size_t kProbeScratch = 1 << 20;

}  // namespace

absl::StatusOr<std::unique_ptr<BytePath>> MappedPath::Open(const WireKey& key, const std::string& remote_key,
                                                           const Regions* local) {
  std::unique_ptr<MappedPath> path(new MappedPath(local));
  BATON_RETURN_IF_ERROR(path->Add(key, remote_key));
  return path;
}

absl::Status MappedPath::Add(const WireKey& key, const std::string& remote_key) {
  if (!key.shared.has_value()) return absl::UnavailableError("the peer's memory is not shared");
  if (windows_.size() >= kMaxWindows) return absl::ResourceExhaustedError("too many regions of one peer");
  BATON_ASSIGN_OR_RETURN(std::unique_ptr<SharedMapping> mapping, SharedMapping::Open(key.shared->memory));
  const absl::Span<const std::byte> whole = mapping->span();
  if (key.shared->offset > whole.size() || key.bytes > whole.size() - key.shared->offset) {
    return absl::UnavailableError("the peer's region is not within its memory");
  }
  windows_[remote_key] = {std::move(mapping), whole.subspan(key.shared->offset, key.bytes), 0};
  return absl::OkStatus();
}

absl::StatusOr<const MappedPath::Window*> MappedPath::WindowOf(const std::string& remote_key) {
  if (!windows_.contains(remote_key)) {
    BATON_ASSIGN_OR_RETURN(const WireKey key, DecodeWireKey(remote_key));
    BATON_RETURN_IF_ERROR(Add(key, remote_key));
  }
  return &windows_.at(remote_key);
}

WireResult MappedPath::Post(ReadBatch batch) {
  const auto window = WindowOf(batch.remote_key);
  absl::Status status = window.status();
  for (const CopyOp& op : batch.ops) {
    if (!status.ok()) break;
    const size_t size = (*window)->region.size();
    if (op.remote_offset > size || op.length > size - op.remote_offset) {
      status = absl::FailedPreconditionError("a read outside of the peer's region");
    }
  }
  if (!status.ok()) {
    done_.push_back({batch.tag, std::move(status)});
    return WireResult::kOk;
  }
  reads_.push_back(std::make_unique<Read>(std::move(batch)));
  reads_.back()->from = *window;
  return WireResult::kOk;
}

WireResult MappedPath::Probe(uint64_t tag, const std::string& remote_key, size_t bytes) {
  const auto window = WindowOf(remote_key);
  if (window.ok()) {
    const absl::Span<const std::byte> region =
        (*window)->region.first(std::min(bytes, (*window)->region.size()));
    std::vector<std::byte> scratch(kProbeScratch + 64);
    auto* const out =
        reinterpret_cast<std::byte*>((reinterpret_cast<uintptr_t>(scratch.data()) + 63) / 64 * 64);
    for (size_t at = 0; at < region.size(); at += kProbeScratch) {
      CopyPastCaches(region.subspan(at, kProbeScratch), out);
    }
    CopiesDone();
  }
  done_.push_back({tag, window.status()});
  return WireResult::kOk;
}

void MappedPath::Abort(uint64_t tag) {
  const auto it =
      std::find_if(reads_.begin(), reads_.end(), [&](const auto& read) { return read->batch.tag == tag; });
  if (it == reads_.end()) return;
  reads_.erase(it);
  done_.push_back({tag, absl::CancelledError("aborted")});
}

bool MappedPath::Copy(Read& read, size_t* budget, absl::Status* status) const {
  while (!read.cursor.done()) {
    if (*budget == 0) return false;
    const RunCursor::Run run = read.cursor.Next();
    *budget -= std::min<size_t>(*budget, run.length);
    const std::byte* const from = read.from->region.data() + run.op->remote_offset + run.skip;
    if (local_->Store(from, run)) continue;
    *status = absl::DataLossError(kWrongBytes);
    return true;
  }
  return true;
}

bool MappedPath::Progress(std::vector<ReadDone>* done) {
  for (ReadDone& over : std::exchange(done_, {})) done->push_back(std::move(over));
  size_t budget = kBytesPerProgress;
  while (!reads_.empty() && budget > 0) {
    absl::Status status;
    if (!Copy(*reads_.front(), &budget, &status)) break;
    done->push_back({reads_.front()->batch.tag, std::move(status)});
    reads_.pop_front();
  }
  CopiesDone();
  return !reads_.empty() || Populate();
}

bool MappedPath::Populate() {
  for (auto& [key, window] : windows_) {
    if (window.populated >= window.mapping->span().size()) continue;
    window.mapping->Populate(window.populated, kPopulateAtOnce);
    window.populated += kPopulateAtOnce;
    return true;
  }
  return false;
}

bool MappedPath::broken() const {
  if (windows_.empty()) return true;
  pollfd end = {windows_.begin()->second.mapping->process_end(), POLLIN, 0};
  return poll(&end, 1, 0) > 0;
}

}  // namespace baton
