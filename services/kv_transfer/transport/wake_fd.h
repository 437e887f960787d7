#pragma once

// A descriptor that any thread can make readable. RAII over an eventfd.

#include <sys/eventfd.h>
#include <unistd.h>

#include <cstdint>

namespace baton {

class WakeFd {
 public:
  WakeFd() : fd_(eventfd(0, EFD_NONBLOCK | EFD_CLOEXEC)) {}
  ~WakeFd() {
    if (fd_ >= 0) close(fd_);
  }
  WakeFd(const WakeFd&) = delete;
  WakeFd& operator=(const WakeFd&) = delete;

  int fd() const { return fd_; }  // negative: none could be had
  void Wake() const {
    const uint64_t one = 1;
    [[maybe_unused]] const ssize_t full_is_awake = write(fd_, &one, sizeof one);
  }
  void Drain() const {
    uint64_t count;
    [[maybe_unused]] const ssize_t empty_is_fine = read(fd_, &count, sizeof count);
  }

 private:
  int fd_;
};

}  // namespace baton
