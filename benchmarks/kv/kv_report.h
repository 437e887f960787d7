#pragma once

// The rows of a run (DESIGN section 10), as a table, JSON and one page of HTML.

#include <string>
#include <vector>

#include "absl/status/status.h"

namespace baton {

struct KvRow {
  std::string name;
  double value = 0;
  std::string unit;
  std::string peer;  // what it is compared with, in the same run; empty: nothing
  double peer_value = 0;
  double ratio = 0;   // more is better; 0: none
  double target = 0;  // of the ratio; 0: none
};

std::string MachineName();
std::string KvTable(const std::vector<KvRow>& rows);
std::string KvJson(const std::vector<KvRow>& rows, const std::string& machine, const std::string& commit);
std::string KvHtml(const std::vector<KvRow>& rows, const std::string& machine, const std::string& commit);
absl::Status WriteText(const std::string& path, const std::string& text);

}  // namespace baton
