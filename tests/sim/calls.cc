#include "tests/sim/calls.h"

#include <algorithm>
#include <utility>

namespace baton::sim {

void Calls::Count(const Call& call, const char* fault) {
  network_->coverage()->Hit(absl::StrCat("call/", call.what, "/", fault));
  network_->trace()->Add(network_->queue()->now(), "network", fault, call.what);
}

Calls::Id Calls::Open(NodeId client, NodeId server, const char* what, Client client_side,
                      Server server_side) {
  const Id id = next_++;
  Call& call = calls_[id];
  call.client = client;
  call.server = server;
  call.what = what;
  call.client_side = std::move(client_side);
  call.server_side = std::move(server_side);
  if (!network_->queue()->alive(server)) {
    call.server_done = true;
    ClientBreaks(id, network_->Delay());
    return id;
  }
  if (network_->IsCut(client, server)) {
    call.start_held = true;
    Count(call, "stalled");
    ClientBreaks(id, Keepalive());
    return id;
  }
  Start(id);
  return id;
}

void Calls::Start(Id id) {
  Call& call = calls_.at(id);
  call.start_held = false;
  network_->queue()->After(call.server, network_->Delay(), [this, id] {
    const auto it = calls_.find(id);
    if (it == calls_.end() || it->second.server_done) return;
    it->second.server_open = true;
    const auto start = it->second.server_side.start;
    start(id);
    Forget(id);
  });
}

bool Calls::Cancel(Id id) {
  const auto it = calls_.find(id);
  if (it == calls_.end() || !it->second.client_open) return false;
  it->second.client_open = false;
  if (it->second.start_held) it->second.server_done = true;
  if (it->second.server_done) {
    Forget(id);
    return true;
  }
  const bool stalled = network_->IsCut(it->second.client, it->second.server);
  if (stalled) Count(it->second, "cancel stalled");
  ServerBreaks(id, stalled ? Keepalive() : network_->Delay());
  return true;
}

void Calls::Emit(Id id, std::function<void()> deliver) {
  const auto it = calls_.find(id);
  if (it == calls_.end() || !it->second.server_open) return;
  Carry(id, it->second, Message{std::move(deliver), absl::OkStatus()});
}

void Calls::End(Id id, absl::Status status) {
  const auto it = calls_.find(id);
  if (it == calls_.end() || !it->second.server_open) return;
  it->second.server_open = false;
  it->second.server_done = true;
  Carry(id, it->second, Message{nullptr, std::move(status)});
  Forget(id);
}

void Calls::Carry(Id id, Call& call, Message message) {
  if (!call.client_open) return;
  if (network_->IsCut(call.server, call.client)) {
    if (call.held.empty()) Count(call, "stalled");
    call.held.push_back(std::move(message));
    return;
  }
  EventQueue* queue = network_->queue();
  call.last_to_client = std::max(call.last_to_client, queue->now() + network_->Delay());
  queue->At(call.client, call.last_to_client,
            [this, id, message = std::move(message)] { Receive(id, message); });
}

void Calls::Receive(Id id, const Message& message) {
  const auto it = calls_.find(id);
  if (it == calls_.end() || !it->second.client_open) return;
  if (message.deliver) {
    const NodeId server = it->second.server;
    network_->queue()->After(server, network_->Delay(), [this, id] {
      const auto found = calls_.find(id);
      if (found != calls_.end() && found->second.server_open) found->second.server_side.on_sent(id, 1);
    });
    return message.deliver();
  }
  it->second.client_open = false;
  const auto on_end = it->second.client_side.on_end;
  Forget(id);
  on_end(message.status);
}

void Calls::ClientBreaks(Id id, absl::Duration after) {
  const auto it = calls_.find(id);
  if (it == calls_.end()) return;
  network_->queue()->After(it->second.client, after, [this, id] {
    const auto found = calls_.find(id);
    if (found == calls_.end() || !found->second.client_open) return;
    found->second.client_open = false;
    Count(found->second, "broken at client");
    if (found->second.start_held) found->second.server_done = true;
    const auto on_end = found->second.client_side.on_end;
    Forget(id);
    on_end(absl::UnavailableError("connection lost"));
  });
}

void Calls::ServerBreaks(Id id, absl::Duration after) {
  const auto it = calls_.find(id);
  if (it == calls_.end()) return;
  network_->queue()->After(it->second.server, after, [this, id] {
    const auto found = calls_.find(id);
    if (found == calls_.end() || found->second.server_done) return;
    const bool was_open = found->second.server_open;
    found->second.server_open = false;
    found->second.server_done = true;
    Count(found->second, "broken at server");
    const auto on_broken = found->second.server_side.on_broken;
    Forget(id);
    if (was_open) on_broken(id);
  });
}

void Calls::Forget(Id id) {
  const auto it = calls_.find(id);
  if (it != calls_.end() && !it->second.client_open && it->second.server_done) calls_.erase(it);
}

void Calls::Break(Id id) {
  const auto it = calls_.find(id);
  if (it == calls_.end()) return;
  Prng* prng = network_->prng();
  const bool client_late = prng->Chance(300);
  const bool server_late = !client_late && prng->Chance(400);
  if (client_late) Count(it->second, "half open at client");
  if (server_late) Count(it->second, "half open at server");
  if (it->second.start_held) it->second.server_done = true;
  ClientBreaks(id, client_late ? Keepalive() : network_->Delay());
  ServerBreaks(id, server_late ? Keepalive() : network_->Delay());
}

void Calls::OnNodeDied(NodeId node) {
  for (const Id id : open()) {
    Call& call = calls_.at(id);
    const absl::Duration after = network_->prng()->Chance(500) ? network_->Delay() : Keepalive();
    if (call.server == node) {
      call.server_open = false;
      call.server_done = true;
      ClientBreaks(id, after);
      Forget(id);
    } else if (call.client == node) {
      call.client_open = false;
      if (call.start_held) call.server_done = true;
      ServerBreaks(id, after);
      Forget(id);
    }
  }
}

void Calls::OnNodePaused(NodeId node, absl::Duration duration) {
  for (const Id id : open()) {
    const Call& call = calls_.at(id);
    const absl::Duration keepalive = Keepalive();
    if (duration < keepalive || (call.server != node && call.client != node)) continue;
    ClientBreaks(id, keepalive);
    ServerBreaks(id, keepalive);
  }
}

void Calls::OnCut(NodeId from, NodeId to) {
  for (const Id id : open()) {
    const Call& call = calls_.at(id);
    const bool touched =
        (call.client == from && call.server == to) || (call.client == to && call.server == from);
    if (!touched) continue;
    const absl::Duration keepalive = Keepalive();
    network_->queue()->After(kWorld, keepalive, [this, id, from, to] {
      if (!network_->IsCut(from, to) || calls_.count(id) == 0) return;
      ClientBreaks(id, network_->Delay());
      ServerBreaks(id, network_->Delay());
    });
  }
}

void Calls::OnMended() {
  for (const Id id : open()) {
    Call& call = calls_.at(id);
    if (call.start_held && call.client_open && !network_->IsCut(call.client, call.server)) Start(id);
    if (!call.held.empty() && !network_->IsCut(call.server, call.client)) {
      std::vector<Message> held = std::move(call.held);
      call.held.clear();
      for (Message& message : held) Carry(id, call, std::move(message));
    }
  }
}

size_t Calls::CountExcept(absl::string_view what) const {
  return std::count_if(calls_.begin(), calls_.end(),
                       [&](const auto& entry) { return entry.second.what != what; });
}

std::vector<Calls::Id> Calls::open() const {
  std::vector<Id> ids;
  ids.reserve(calls_.size());
  for (const auto& [id, call] : calls_) ids.push_back(id);
  return ids;
}

}  // namespace baton::sim
