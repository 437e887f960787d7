#pragma once

// A set of descriptors that is itself one: readable while any of them is ready. RAII over epoll.

#include <sys/epoll.h>
#include <unistd.h>

#include <cstdint>

namespace baton {

class Watch {
 public:
  Watch() : fd_(epoll_create1(EPOLL_CLOEXEC)) {}
  ~Watch() {
    if (fd_ >= 0) close(fd_);
  }
  Watch(const Watch&) = delete;
  Watch& operator=(const Watch&) = delete;

  int fd() const { return fd_; }  // negative: none could be had
  // Ready to read (unless not `read`), and with `write` also when ready to write. Again for the same
  // descriptor: replaces.
  void Set(int fd, bool write = false, bool read = true) const {
    epoll_event event = {};
    event.events =
        (read ? static_cast<uint32_t>(EPOLLIN) : 0U) | (write ? static_cast<uint32_t>(EPOLLOUT) : 0U);
    event.data.fd = fd;
    if (epoll_ctl(fd_, EPOLL_CTL_ADD, fd, &event) != 0) epoll_ctl(fd_, EPOLL_CTL_MOD, fd, &event);
  }
  // Before it is closed.
  void Remove(int fd) const { epoll_ctl(fd_, EPOLL_CTL_DEL, fd, nullptr); }

 private:
  int fd_;
};

}  // namespace baton
