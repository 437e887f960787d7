#include "services/router/serve/stream_table.h"

#include <algorithm>
#include <utility>

namespace baton::router {

StreamTable::Entry::Entry(StreamTable* table, StreamId id, std::shared_ptr<Card> card)
    : table_(table), id_(id), card_(std::move(card)) {}

StreamTable::Entry::Entry(Entry&& other) noexcept {
  *this = std::move(other);
}

StreamTable::Entry& StreamTable::Entry::operator=(Entry&& other) noexcept {
  std::swap(table_, other.table_);
  std::swap(id_, other.id_);
  std::swap(card_, other.card_);
  return *this;
}

StreamTable::Entry::~Entry() {
  if (table_ == nullptr) return;
  absl::MutexLock lock(&table_->mutex_);
  table_->cards_.erase(id_);
}

void StreamTable::Entry::Set(StreamView view) {
  if (card_ == nullptr) return;
  absl::MutexLock lock(&card_->mutex);
  card_->view = std::move(view);
}

StreamTable::Entry StreamTable::Add(StreamId id, std::weak_ptr<MovableStream> stream) {
  auto card = std::make_shared<Card>(std::move(stream));
  absl::MutexLock lock(&mutex_);
  cards_[id] = card;
  return Entry(this, id, std::move(card));
}

std::vector<std::pair<StreamId, StreamView>> StreamTable::List() const {
  std::vector<std::pair<StreamId, std::shared_ptr<Card>>> cards;
  {
    absl::MutexLock lock(&mutex_);
    cards.assign(cards_.begin(), cards_.end());
  }
  std::sort(cards.begin(), cards.end(), [](const auto& a, const auto& b) { return a.first < b.first; });
  std::vector<std::pair<StreamId, StreamView>> list;
  list.reserve(cards.size());
  for (const auto& [id, card] : cards) {
    absl::MutexLock lock(&card->mutex);
    list.emplace_back(id, card->view);
  }
  return list;
}

void StreamTable::WorkerSilent(uint64_t worker) {
  std::vector<std::shared_ptr<MovableStream>> told;
  {
    absl::MutexLock lock(&mutex_);
    for (const auto& [id, card] : cards_) {
      absl::MutexLock look(&card->mutex);
      if (card->view.at.worker != worker && card->view.prefill_worker != worker) continue;
      if (auto stream = card->stream.lock()) told.push_back(std::move(stream));
    }
  }
  for (const auto& stream : told) stream->WorkerSilent(worker);
}

void StreamTable::Move(StreamId id, RankRef target, MoveDone done) {
  std::shared_ptr<MovableStream> stream;
  {
    absl::MutexLock lock(&mutex_);
    const auto it = cards_.find(id);
    if (it != cards_.end()) stream = it->second->stream.lock();
  }
  if (stream == nullptr) return done(absl::NotFoundError("no such stream is open at this router"));
  stream->RequestMove(target, std::move(done));
}

}  // namespace baton::router
