#pragma once

// Reference streams kept from one invocation to the next, a file each. Several processes may use one folder.

#include <string>
#include <vector>

#include "absl/status/statusor.h"
#include "tools/chaos/evidence.h"

namespace baton::chaos {

class ReferenceStore {
 public:
  // `folder`: made when something is kept. Empty: nothing is.
  explicit ReferenceStore(std::string folder) : folder_(std::move(folder)) {}

  // Index, tokens and finish reason of each stream, by index. NOT_FOUND if none is kept; DATA_LOSS if what is
  // kept was damaged or belongs to another key: it names the file.
  absl::StatusOr<std::vector<StreamRecord>> Load(const std::string& key) const;
  // Readers see the whole file or none. The oldest go, so that at most 100 are kept.
  absl::Status Keep(const std::string& key, const std::vector<StreamRecord>& streams) const;

 private:
  std::string PathOf(const std::string& key) const;
  void RemoveOldest() const;

  const std::string folder_;
};

}  // namespace baton::chaos
