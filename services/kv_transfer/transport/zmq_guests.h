#pragma once

// Those that connected to us: who they are, and which connections are open. Bounded: identities remembered,
// and connections that nobody has proven a key on, of which the oldest is cut for the newest. One thread.

#include <functional>
#include <list>
#include <map>
#include <string>

#include "absl/strings/string_view.h"
#include "services/kv_transfer/transport/tcp_cut.h"
#include "services/kv_transfer/transport/transport.h"

namespace baton {

class ZmqGuests {
 public:
  ZmqGuests(size_t max_known, size_t max_unproven) : max_known_(max_known), max_unproven_(max_unproven) {}

  // A connection was accepted, or is over.
  void OnAccepted(int fd);
  void OnClosed(int fd);

  // Of a frame of `user` (empty: no keys are asked for) over connection `fd`, by its ROUTER identity: the
  // peer it has been, or `fresh` from now on.
  PeerId Know(const std::string& identity, const std::string& user, int fd, PeerId fresh);
  const std::string* IdentityOf(PeerId peer) const;  // nullptr: not known
  const std::string& UserOf(PeerId peer) const;      // empty: not known, or nobody in particular
  void Forget(PeerId peer);

  void Cut(int fd);
  // Cuts every connection whose user is not to be kept, and those without. Forgets the former's peers, and
  // returns them with their users.
  std::map<PeerId, std::string> CutAllBut(const std::function<bool(const std::string& user)>& keep);

  size_t connections() const { return connections_.size(); }
  size_t unproven() const { return unproven_.size(); }
  uint64_t cut() const { return cut_; }  // so far

 private:
  struct Connection {
    TcpConnection tcp;
    std::string user;
    bool proven = false;
    std::list<int>::iterator place;  // in unproven_, unless proven
  };
  struct Guest {
    std::string identity, user;
  };
  void Cut(const Connection& connection);

  const size_t max_known_, max_unproven_;
  std::map<int, Connection> connections_;  // by descriptor
  std::list<int> unproven_;                // oldest first
  std::map<std::string, PeerId> by_identity_;
  std::map<PeerId, Guest> guests_;
  uint64_t cut_ = 0;
};

}  // namespace baton
