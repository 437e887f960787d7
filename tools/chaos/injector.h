#pragma once

// Carries faults out on a driver and undoes them. What still lasts when it goes is undone then, whatever
// happened. Not thread-safe.

#include <map>
#include <memory>

#include "absl/status/status.h"
#include "tools/chaos/driver.h"
#include "tools/chaos/page_holder.h"

namespace baton::chaos {

class Injector {
 public:
  explicit Injector(Driver& driver) : driver_(driver) {}
  ~Injector();
  Injector(const Injector&) = delete;
  Injector& operator=(const Injector&) = delete;

  // `index` names the fault until its End. An error says why it could not be done.
  absl::Status Begin(size_t index, const Fault& fault);
  absl::Status End(size_t index);
  // Everything that lasts; the first error.
  absl::Status EndAll();

 private:
  absl::Status Strike(size_t index, const Fault& fault);
  absl::Status Heal(size_t index, const Fault& fault);
  absl::Status ApplyNetwork();
  absl::Status ApplyDisk(const std::string& process);
  bool IsStopped(const std::string& process) const;  // by another fault that lasts

  Driver& driver_;
  std::map<size_t, Fault> lasting_;
  std::map<size_t, std::unique_ptr<PageHolder>> holders_;
};

}  // namespace baton::chaos
