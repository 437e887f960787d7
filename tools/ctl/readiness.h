#pragma once

// Watches a cluster come up and says, in a few words, what it waits for.

#include <functional>
#include <map>
#include <optional>
#include <set>
#include <string>

#include "absl/status/status.h"
#include "common/clock.h"
#include "tools/ctl/cluster_state.h"

namespace baton::ctl {

class Readiness {
 public:
  // `interrupted`: whether the user wants no more of it; a request under way is then given up.
  Readiness(ClusterFolder folder, ProcessId supervisor, std::string api_key,
            std::function<bool()> interrupted)
      : folder_(std::move(folder)),
        supervisor_(supervisor),
        api_key_(std::move(api_key)),
        interrupted_(std::move(interrupted)) {}

  // One look. True when a real request has succeeded. An error when a process died or our API key is not let
  // in: its message is for the user, and died() names the process. Takes at most as long as one request.
  absl::StatusOr<bool> Look();

  // For instance "router ready, waiting for decode-0: loading 30 layers".
  const std::string& doing() const { return doing_; }
  const std::string& died() const { return died_; }
  const std::string& url() const { return url_; }
  const std::string& model() const { return model_; }

 private:
  absl::Status FindDead(const ClusterRecord& record);
  bool IsReady(const ProcessRecord& process);
  absl::StatusOr<bool> TryRequest(const ClusterRecord& record);

  ClusterFolder folder_;
  ProcessId supervisor_;
  std::string api_key_;
  std::function<bool()> interrupted_;
  bool long_prompt_ = true;
  std::set<std::string> ready_;
  std::string doing_, died_, url_, model_;
};

}  // namespace baton::ctl
