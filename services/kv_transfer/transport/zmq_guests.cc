#include "services/kv_transfer/transport/zmq_guests.h"

#include <utility>

namespace baton {

void ZmqGuests::OnAccepted(int fd) {
  OnClosed(fd);
  if (unproven_.size() >= max_unproven_) Cut(unproven_.front());
  const auto place = unproven_.insert(unproven_.end(), fd);
  connections_.emplace(fd, Connection{TcpConnection(fd), "", false, place});
}

void ZmqGuests::OnClosed(int fd) {
  const auto found = connections_.find(fd);
  if (found == connections_.end()) return;
  if (!found->second.proven) unproven_.erase(found->second.place);
  connections_.erase(found);
}

PeerId ZmqGuests::Know(const std::string& identity, const std::string& user, int fd, PeerId fresh) {
  if (const auto over = connections_.find(fd); over != connections_.end() && !over->second.proven) {
    over->second.proven = true;
    over->second.user = user;
    unproven_.erase(over->second.place);
  }
  if (const auto known = by_identity_.find(identity); known != by_identity_.end()) {
    const PeerId peer = known->second;
    if (guests_.at(peer).user == user) return peer;
    Forget(peer);
  }
  if (guests_.size() >= max_known_) Forget(guests_.begin()->first);
  by_identity_[identity] = fresh;
  guests_[fresh] = {identity, user};
  return fresh;
}

const std::string* ZmqGuests::IdentityOf(PeerId peer) const {
  const auto found = guests_.find(peer);
  return found == guests_.end() ? nullptr : &found->second.identity;
}

const std::string& ZmqGuests::UserOf(PeerId peer) const {
  static const std::string kNobody;
  const auto found = guests_.find(peer);
  return found == guests_.end() ? kNobody : found->second.user;
}

void ZmqGuests::Forget(PeerId peer) {
  const auto found = guests_.find(peer);
  if (found == guests_.end()) return;
  by_identity_.erase(found->second.identity);
  guests_.erase(found);
}

void ZmqGuests::Cut(const Connection& connection) {
  ++cut_;
  connection.tcp.Cut();
}

// It stays in the table, counted as proven, until ZeroMQ says that it is closed.
void ZmqGuests::Cut(int fd) {
  const auto found = connections_.find(fd);
  if (found == connections_.end()) return;
  Cut(found->second);
  if (!std::exchange(found->second.proven, true)) unproven_.erase(found->second.place);
}

std::map<PeerId, std::string> ZmqGuests::CutAllBut(const std::function<bool(const std::string& user)>& keep) {
  for (const auto& [fd, connection] : connections_) {
    if (connection.user.empty() || !keep(connection.user)) Cut(connection);
  }
  std::map<PeerId, std::string> gone;
  for (const auto& [peer, guest] : guests_) {
    if (!keep(guest.user)) gone[peer] = guest.user;
  }
  for (const auto& [peer, user] : gone) Forget(peer);
  return gone;
}

}  // namespace baton
