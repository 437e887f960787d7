#pragma once

// Where workers are: a fixed list, a watched file (one host:port a line, # starts a comment), a DNS name. A
// thread of its own polls the file's modification time and resolves the name; every change is handed to
// `found`, the union of all sources.
//
// A source that cannot be read keeps what it last gave: losing DNS for a while loses no worker.

#include <functional>
#include <memory>
#include <string>
#include <vector>

#include "absl/status/statusor.h"
#include "absl/strings/string_view.h"
#include "absl/time/time.h"

namespace baton::router {

struct DiscoveryConfig {
  std::vector<std::string> workers;
  std::string file;      // empty: none
  std::string dns_name;  // host:port; empty: none
  absl::Duration file_interval = absl::Milliseconds(500);
  absl::Duration dns_interval = absl::Seconds(5);
};

// InvalidArgument if there is no source at all, or one is not an address.
absl::Status CheckDiscovery(const DiscoveryConfig& config);
// Endpoints of a workers file; lines that are not host:port are InvalidArgument, by number.
absl::StatusOr<std::vector<std::string>> ParseWorkersFile(absl::string_view text);
// Every address of `host:port`, as numeric endpoints. Blocks while the system's resolver does.
absl::StatusOr<std::vector<std::string>> ResolveWorkers(const std::string& host_port);

class Discovery {
 public:
  // `found` is called once before the constructor returns, then on the thread. `warn` gets what could not be
  // read.
  Discovery(const DiscoveryConfig& config, std::function<void(const std::vector<std::string>&)> found,
            std::function<void(const absl::Status&)> warn);
  ~Discovery();

 private:
  struct Impl;
  const std::unique_ptr<Impl> impl_;
};

}  // namespace baton::router
