#include "services/worker/attempt_table.h"

namespace baton {
namespace {

uint8_t Bit(CallKind kind) {
  return static_cast<uint8_t>(1u << static_cast<unsigned>(kind));
}

// The kinds that make the same end of a handoff, named by the attempt.
uint8_t SameEnd(CallKind kind) {
  const bool reads = kind == CallKind::kDecode || kind == CallKind::kFetch;
  return reads ? Bit(CallKind::kDecode) | Bit(CallKind::kFetch)
               : Bit(CallKind::kPrefill) | Bit(CallKind::kShare);
}

bool IsMove(CallKind kind) {
  return kind == CallKind::kShare || kind == CallKind::kFetch;
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
    Entry& entry = streams_[stream] = Entry{.highest = attempt, .only_moves = IsMove(kind)};
    Rest(stream, entry, now);
    return absl::OkStatus();
  }
  Entry& entry = it->second;
  if (attempt < entry.highest)
    return absl::AbortedError("superseded: a higher attempt of this stream was seen");
  if (attempt > entry.highest) {
    entry.highest = attempt;
    entry.served = 0;
    *raised = entry.open > 0;
  } else if (entry.served & SameEnd(kind)) {
    return absl::AbortedError("superseded: this attempt was served already");
  }
  const bool longer = entry.only_moves && !IsMove(kind);
  entry.only_moves = entry.only_moves && !longer;
  if (entry.open == 0 && (entry.served == 0 || longer)) Rest(stream, entry, now);
  return absl::OkStatus();
}

void AttemptTable::Rest(const StreamId& stream, Entry& entry, MonoTime now) {
  idle_.erase({entry.forget_at, stream});
  entry.forget_at = now + (entry.only_moves ? options_.move_retention : options_.retention);
  idle_.emplace(entry.forget_at, stream);
}

void AttemptTable::Begin(const StreamId& stream, Attempt attempt, CallKind kind) {
  auto it = streams_.find(stream);
  if (it == streams_.end() || it->second.highest != attempt) return;
  Entry& entry = it->second;
  entry.served |= Bit(kind);
  if (entry.open++ == 0) idle_.erase({entry.forget_at, stream});
  ++serving_;
}

void AttemptTable::End(const StreamId& stream, Attempt attempt, CallKind kind, bool unserved, MonoTime now) {
  auto it = streams_.find(stream);
  if (it == streams_.end() || it->second.open == 0) return;
  Entry& entry = it->second;
  if (unserved && entry.highest == attempt) entry.served &= static_cast<uint8_t>(~Bit(kind));
  --serving_;
  if (--entry.open > 0) return;
  Rest(stream, entry, now);
}

void AttemptTable::Expire(MonoTime now) {
  while (!idle_.empty() && idle_.begin()->first <= now) {
    streams_.erase(idle_.begin()->second);
    idle_.erase(idle_.begin());
  }
}

}  // namespace baton
