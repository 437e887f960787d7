#include "services/kv_transfer/transport/zmq_watch.h"

#include <utility>

#include "services/kv_transfer/transport/zmq_socket.h"

namespace baton {

int ZmqWatch::AddSocket(void* zmq_socket, What what, PeerId peer) {
  const int fd = ZmqFd(zmq_socket);
  if (fd < 0) return fd;
  sources_[fd] = {what, peer, fd};
  watch_.Set(fd);
  Touch(fd);
  return fd;
}

void ZmqWatch::AddPlain(int fd, What what) {
  sources_[fd] = {what, 0, fd};
  watch_.Set(fd);
}

void ZmqWatch::Remove(int fd) {
  if (sources_.erase(fd) == 0) return;
  watch_.Remove(fd);
  touched_.erase(fd);
}

bool ZmqWatch::Has(const Source& source) const {
  const auto found = sources_.find(source.fd);
  return found != sources_.end() && found->second.what == source.what && found->second.peer == source.peer;
}

std::vector<ZmqWatch::Source> ZmqWatch::TakeTouched() {
  std::vector<Source> taken;
  for (const int fd : std::exchange(touched_, {})) taken.push_back(sources_.at(fd));
  return taken;
}

std::vector<ZmqWatch::Source> ZmqWatch::Wait(absl::Duration timeout) {
  std::vector<Source> ready;
  for (const int fd : watch_.Wait(touched() ? absl::ZeroDuration() : timeout)) {
    if (const auto found = sources_.find(fd); found != sources_.end()) ready.push_back(found->second);
  }
  return ready;
}

}  // namespace baton
