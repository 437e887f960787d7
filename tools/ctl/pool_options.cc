#include "tools/ctl/pool_options.h"

#include <filesystem>

#include "absl/strings/numbers.h"
#include "absl/strings/str_cat.h"
#include "common/status_macros.h"

namespace baton::ctl {

absl::StatusOr<int> ParseSizeMb(const std::string& option, const std::string& text) {
  constexpr int64_t kMostMb = int64_t{16} << 20;
  const std::string digits = text.substr(0, text.empty() ? 0 : text.size() - 1);
  const char unit = text.empty() ? ' ' : text.back();
  const int64_t factor = unit == 'M' ? 1 : unit == 'G' ? 1024 : unit == 'T' ? 1 << 20 : 0;
  int64_t n = 0;
  if (factor == 0 || !absl::SimpleAtoi(digits, &n) || n < 1 || n > kMostMb / factor) {
    return absl::InvalidArgumentError(
        absl::StrCat("--", option, " must give a size as 512M, 2G or 1T, not '", text, "'"));
  }
  return static_cast<int>(n * factor);
}

absl::Status ParsePoolOptions(const Arguments& arguments, ClusterSpec* spec) {
  if (arguments.Has("kv-pool")) {
    BATON_ASSIGN_OR_RETURN(spec->kv_pool_mb, ParseSizeMb("kv-pool", arguments.Text("kv-pool", "")));
  }
  if (!arguments.Has("kv-disk")) return absl::OkStatus();
  if (spec->kv_pool_mb == 0)
    return absl::InvalidArgumentError("--kv-disk needs --kv-pool SIZE: it is its second tier");
  const std::string text = arguments.Text("kv-disk", "");
  const size_t colon = text.rfind(':');
  if (colon == std::string::npos || colon == 0)
    return absl::InvalidArgumentError("--kv-disk must be DIR:SIZE, for instance cache:20G");
  BATON_ASSIGN_OR_RETURN(spec->kv_disk_mb, ParseSizeMb("kv-disk", text.substr(colon + 1)));
  std::error_code error;
  spec->kv_disk_dir = std::filesystem::absolute(text.substr(0, colon), error).string();
  return absl::OkStatus();
}

}  // namespace baton::ctl
