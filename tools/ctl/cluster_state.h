#pragma once

// What is on disk about a cluster that runs on this machine: its folder, and the record that its supervisor
// keeps there.
//
//   FOLDER/lock            held (flock) by the supervisor while it lives
//   FOLDER/spec.json       ClusterSpec
//   FOLDER/cluster.json    ClusterRecord, replaced at every change
//   FOLDER/workers         one gRPC endpoint a line, watched by the router
//   FOLDER/NAME.json       the addresses that process NAME reported
//   FOLDER/NAME.log        what it wrote

#include <string>
#include <vector>

#include "absl/status/statusor.h"
#include "tools/ctl/options.h"
#include "tools/ctl/process.h"

namespace baton::ctl {

struct ProcessRecord {
  std::string name;  // "router", "kv", "prefill-0", "decode-1"
  std::string role;  // "router", "kv", "prefill", "decode"
  ProcessId id;
  int restarts = 0;
  std::string state;      // "running", "restarting", "failed", "stopped"
  std::string last_exit;  // in words; empty: never died
  std::string grpc;       // host:port, empty until reported
  std::string http;
};

struct ClusterRecord {
  ProcessId supervisor;
  std::vector<ProcessRecord> processes;
};

class ClusterFolder {
 public:
  ClusterFolder(const std::string& state_root, const std::string& cluster)
      : path_(state_root + "/" + cluster) {}
  explicit ClusterFolder(std::string path) : path_(std::move(path)) {}

  const std::string& path() const { return path_; }
  std::string Lock() const { return path_ + "/lock"; }
  std::string Spec() const { return path_ + "/spec.json"; }
  std::string Cluster() const { return path_ + "/cluster.json"; }
  std::string Workers() const { return path_ + "/workers"; }
  std::string Addresses(const std::string& process) const { return path_ + "/" + process + ".json"; }
  std::string Log(const std::string& process) const { return path_ + "/" + process + ".log"; }

 private:
  std::string path_;
};

std::string ToJson(const ClusterSpec& spec);
absl::StatusOr<ClusterSpec> ParseSpec(const std::string& json);
std::string ToJson(const ClusterRecord& record);
absl::StatusOr<ClusterRecord> ParseRecord(const std::string& json);
// {"grpc": "host:port", "http": "host:port"}, either may be absent.
struct Addresses {
  std::string grpc, http;
};
absl::StatusOr<Addresses> ParseAddresses(const std::string& json);

absl::StatusOr<ClusterRecord> ReadRecord(const ClusterFolder& folder);  // NOT_FOUND: no cluster
// The router's URL for clients on this machine. UNAVAILABLE until it has reported its address.
absl::StatusOr<std::string> RouterUrl(const ClusterRecord& record);

}  // namespace baton::ctl
