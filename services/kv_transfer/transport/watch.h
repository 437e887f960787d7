#pragma once

// A set of descriptors that is itself one: readable while any of them is ready. RAII over epoll.

#include <sys/epoll.h>
#include <unistd.h>

#include <algorithm>
#include <array>
#include <cstdint>

#include "absl/time/time.h"
#include "absl/types/span.h"

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

  static constexpr size_t kMostAtOnce = 64;
  // Those that are ready, taking turns where they are more; waits up to `timeout`, in whole milliseconds, for
  // the first. Valid until the next call.
  absl::Span<const int> Wait(absl::Duration timeout) {
    const absl::Duration longest = absl::Minutes(1);
    const auto ms = static_cast<int>(absl::ToInt64Milliseconds(
        absl::Ceil(std::clamp(timeout, absl::ZeroDuration(), longest), absl::Milliseconds(1))));
    std::array<epoll_event, kMostAtOnce> events;
    const int count = std::max(0, epoll_wait(fd_, events.data(), static_cast<int>(events.size()), ms));
    for (int i = 0; i < count; ++i) ready_[i] = events[i].data.fd;
    return absl::MakeConstSpan(ready_).first(count);
  }

 private:
  int fd_;
  std::array<int, kMostAtOnce> ready_ = {};
};

}  // namespace baton
