#include "services/worker/attempt_table.h"

namespace baton {
namespace {

uint8_t Bit(CallKind kind) {
  return static_cast<uint8_t>(1u << static_cast<unsigned>(kind));
}

}  // namespace

absl::Status AttemptTable::See(const StreamId& stream, Attempt attempt, CallKind kind, MonoTime now,
                               bool* raised) {
  *raised = false;
  auto it = streams_.find(stream);
  if (it == streams_.end()) {
    if (streams_.size() >= options_.max_streams) Expire(now);
    if (streams_.size() >= options_.max_streams) {
      return absl::ResourceExhaustedError("attempt table full: too many streams within the retention time");
    }
    streams_[stream] = Entry{.highest = attempt, .idle_since = now};
    idle_.emplace(now, stream);
    return absl::OkStatus();
  }
  Entry& entry = it->second;
  if (attempt < entry.highest)
    return absl::AbortedError("superseded: a higher attempt of this stream was seen");
  if (attempt > entry.highest) {
    entry.highest = attempt;
    entry.served = 0;
    *raised = entry.open > 0;
    if (entry.open == 0) {
      idle_.erase({entry.idle_since, stream});
      entry.idle_since = now;
      idle_.emplace(now, stream);
    }
    return absl::OkStatus();
  }
  if (entry.served & Bit(kind)) return absl::AbortedError("superseded: this attempt was served already");
  return absl::OkStatus();
}

void AttemptTable::Begin(const StreamId& stream, Attempt attempt, CallKind kind) {
  auto it = streams_.find(stream);
  if (it == streams_.end() || it->second.highest != attempt) return;
  Entry& entry = it->second;
  entry.served |= Bit(kind);
  if (entry.open++ == 0) idle_.erase({entry.idle_since, stream});
  ++serving_;
}

void AttemptTable::End(const StreamId& stream, Attempt attempt, CallKind kind, bool unserved, MonoTime now) {
  auto it = streams_.find(stream);
  if (it == streams_.end() || it->second.open == 0) return;
  Entry& entry = it->second;
  if (unserved && entry.highest == attempt) entry.served &= static_cast<uint8_t>(~Bit(kind));
  --serving_;
  if (--entry.open > 0) return;
  entry.idle_since = now;
  idle_.emplace(now, stream);
}

void AttemptTable::Expire(MonoTime now) {
  while (!idle_.empty() && idle_.begin()->first + options_.retention <= now) {
    streams_.erase(idle_.begin()->second);
    idle_.erase(idle_.begin());
  }
}

}  // namespace baton
