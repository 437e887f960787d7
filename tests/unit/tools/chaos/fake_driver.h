#pragma once

// A driver that only writes down what it was told.

#include <mutex>

#include "absl/strings/str_cat.h"
#include "tools/chaos/driver.h"

namespace baton::chaos {

class FakeDriver final : public Driver {
 public:
  explicit FakeDriver(std::vector<std::string> names) {
    for (const std::string& name : names)
      processes.push_back({name, name.substr(0, name.find('-')), "h:1", "g:1", "", true});
  }
  absl::Status Start(const std::function<void(const std::string&)>&, const std::function<bool()>&) override {
    return Note("start");
  }
  absl::Status Stop() override { return Note("stop"); }
  std::string url() const override { return "http://nobody:1"; }
  std::vector<ProcessView> Processes() override {
    const std::lock_guard lock(mutex);
    return processes;
  }
  absl::StatusOr<std::string> Get(const std::string& process, const std::string& path) override {
    const std::lock_guard lock(mutex);
    const auto found = pages.find(process + path);
    if (found == pages.end()) return absl::UnavailableError("silent");
    return found->second;
  }
  absl::Status Signal(const std::string& process, int signal) override {
    return Note(absl::StrCat("signal ", signal, " ", process));
  }
  // Comes back at once.
  absl::Status End(const std::string& process, int signal, absl::Duration restart_after,
                   absl::Duration) override {
    for (ProcessView& view : processes) {
      const std::lock_guard lock(mutex);
      if (view.name == process && restart_after != absl::InfiniteDuration()) ++view.restarts;
    }
    return Note(absl::StrCat("end ", signal, " ", process, " ", absl::FormatDuration(restart_after)));
  }
  absl::Status SetNetwork(const std::vector<NetworkFault>& faults) override {
    std::string text = "network";
    for (const NetworkFault& fault : faults)
      absl::StrAppend(&text, " ", fault.one, "|", fault.other, ":", fault.lost_percent);
    return Note(text);
  }
  absl::Status SetDisk(const std::string& process, const DiskFault& fault) override {
    return Note(absl::StrCat("disk ", process, " ", fault.delay_ms, fault.full ? " full" : ""));
  }

  std::vector<std::string> Told() {
    const std::lock_guard lock(mutex);
    return told;
  }

  std::mutex mutex;
  std::vector<ProcessView> processes;
  std::map<std::string, std::string> pages;  // by process and path
  std::vector<std::string> told;
  absl::Status answer;  // to what is told

 private:
  absl::Status Note(const std::string& what) {
    const std::lock_guard lock(mutex);
    told.push_back(what);
    return answer;
  }
};

}  // namespace baton::chaos
