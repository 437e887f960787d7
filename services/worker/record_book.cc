#include "services/worker/record_book.h"

#include <utility>

namespace baton {
namespace {

constexpr size_t kEntryBytes = 512;  // tables and fields of one record

size_t BytesOf(const RecordedToken& token) {
  return sizeof(token) + token.token.top.size() * sizeof(TopLogprob);
}

}  // namespace

void RecordBook::Open(const StreamId& stream, Attempt attempt, RecordedRequest request,
                      absl::Span<const TokenId> emitted, MonoTime now) {
  if (request.spec.empty() || options_.retention <= absl::ZeroDuration()) return;
  std::vector<RecordedToken> known;
  if (const auto it = entries_.find(stream); it != entries_.end()) {
    known = std::move(it->second.stream.tokens);
    Erase(it);
  }
  Entry& entry = entries_[stream];
  entry.principal = request.principal;
  entry.stream.attempt = attempt;
  entry.stream.spec = std::move(request.spec);
  for (size_t i = 0; i < emitted.size(); ++i) {
    const bool same = i < known.size() && known[i].token.token == emitted[i];
    RecordedToken unscored{.token = {.position = static_cast<int64_t>(i), .token = emitted[i]}};
    entry.stream.tokens.push_back(same ? std::move(known[i]) : std::move(unscored));
    Grow(entry, BytesOf(entry.stream.tokens.back()));
  }
  Grow(entry, kEntryBytes + entry.stream.spec.size());
  Enter(stream, entry, true, now);
  Shrink();
}

void RecordBook::Reopen(const StreamId& stream, Attempt attempt, MonoTime now) {
  const auto it = entries_.find(stream);
  if (it == entries_.end()) return;
  it->second.stream.attempt = attempt;
  Enter(stream, it->second, true, now);
}

void RecordBook::Append(const StreamId& stream, GeneratedToken token, bool scored) {
  const auto it = entries_.find(stream);
  if (it == entries_.end()) return;
  std::vector<RecordedToken>& tokens = it->second.stream.tokens;
  if (token.position != static_cast<int64_t>(tokens.size())) return;
  tokens.push_back({std::move(token), scored});
  Grow(it->second, BytesOf(tokens.back()));
  Shrink();
}

void RecordBook::Finish(const StreamId& stream, FinishReason reason, bool inexact) {
  const auto it = entries_.find(stream);
  if (it == entries_.end()) return;
  it->second.stream.finish = reason;
  it->second.stream.inexact = inexact;
}

void RecordBook::SetCached(const StreamId& stream, int64_t cached_tokens) {
  const auto it = entries_.find(stream);
  if (it != entries_.end()) it->second.stream.cached_tokens = cached_tokens;
}

void RecordBook::Rest(const StreamId& stream, MonoTime now) {
  const auto it = entries_.find(stream);
  if (it != entries_.end()) Enter(stream, it->second, false, now);
}

void RecordBook::Expire(MonoTime now) {
  while (!order_.empty()) {
    const auto& [open, since, stream] = *order_.begin();
    if (open || since + options_.retention > now) return;
    Erase(entries_.find(stream));
  }
}

const RecordedStream* RecordBook::Find(const StreamId& stream, const Id128& principal) const {
  const auto it = entries_.find(stream);
  if (it == entries_.end() || it->second.principal != principal) return nullptr;
  return &it->second.stream;
}

void RecordBook::Enter(const StreamId& stream, Entry& entry, bool open, MonoTime now) {
  order_.erase({entry.open, entry.since, stream});
  entry.open = open;
  entry.since = now;
  order_.emplace(open, now, stream);
}

void RecordBook::Grow(Entry& entry, size_t bytes) {
  entry.bytes += bytes;
  bytes_ += bytes;
}

void RecordBook::Erase(Entries::iterator it) {
  order_.erase({it->second.open, it->second.since, it->first});
  bytes_ -= it->second.bytes;
  entries_.erase(it);
}

void RecordBook::Shrink() {
  while (!order_.empty() && (entries_.size() > options_.max_records || bytes_ > options_.max_bytes))
    Erase(entries_.find(std::get<2>(*order_.begin())));
}

}  // namespace baton
