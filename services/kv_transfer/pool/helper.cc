#include "services/kv_transfer/pool/helper.h"

#include <limits>
#include <utility>

namespace baton::pool {
namespace {

constexpr absl::Duration kLongestWait = absl::Seconds(1);
// PoolCore bounds what is under way: reads, writes and stores.
constexpr size_t kUnbounded = std::numeric_limits<size_t>::max();

absl::Status NoDisk() {
  return absl::UnavailableError("there is no disk tier");
}

}  // namespace

Helper::Helper(KvMemory* memory, std::optional<DiskLog> log, uint64_t max_segments,
               std::function<void(HelperReport)> report)
    : memory_(memory),
      log_(std::move(log)),
      max_segments_(max_segments),
      report_(std::move(report)),
      jobs_(kUnbounded) {
  thread_ = std::thread([this] { Run(); });
}

Helper::~Helper() {
  jobs_.Close();
  thread_.join();
}

void Helper::Do(HelperJob job) {
  jobs_.TryPush(std::move(job));
}

void Helper::Run() {
  if (log_.has_value()) {
    absl::StatusOr<RecoveredLog> found = log_->Recover(max_segments_);
    if (found.ok()) {
      report_(Recovered{*std::move(found)});
    } else {
      report_(DiskFailed{found.status()});
    }
  }
  for (;;) {
    const bool closing = jobs_.closed();
    for (HelperJob& job : jobs_.PopAll(kLongestWait)) std::visit([this](auto& j) { Do(j); }, job);
    if (closing) return;
  }
}

void Helper::Do(SumPages& job) {
  Summed done{.id = job.id, .sums = {}};
  for (const PageId page : job.pages)
    done.sums.push_back(SumUnits(Page(page), memory_->layout().UnitBytes()));
  report_(std::move(done));
}

void Helper::Do(WriteBlock& job) {
  const absl::Status status = log_.has_value() ? log_->Write(job.name, job.sums, Page(job.page)) : NoDisk();
  report_(Written{job.name.key, job.name.place, status});
}

void Helper::Do(ReadBlock& job) {
  ReadDone done{.key = job.key, .place = job.place, .status = NoDisk()};
  if (jobs_.closed()) {
    done.status = absl::UnavailableError("the pool is shutting down");
  } else if (log_.has_value()) {
    done.status = log_->Read(job.place, job.key, Page(job.page), &done.sums);
  }
  report_(std::move(done));
}

void Helper::Do(SealSegment& job) {
  const absl::Status status = log_.has_value() ? log_->Seal(job.segment) : absl::OkStatus();
  if (!status.ok()) report_(DiskFailed{status});
}

void Helper::Do(DropSegment& job) {
  const absl::Status status = log_.has_value() ? log_->Drop(job.segment) : absl::OkStatus();
  if (!status.ok()) report_(DiskFailed{status});
}

}  // namespace baton::pool
