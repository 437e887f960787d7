#pragma once

// Addresses to listen on, as people write them: "127.0.0.1:8080", "[::1]:0", "0.0.0.0:0". Thread-safe.

#include <cstdint>
#include <string>

#include "absl/status/statusor.h"
#include "absl/strings/string_view.h"

namespace baton {

struct HostPort {
  std::string host;
  uint16_t port = 0;  // 0: any free one

  std::string ToString() const;  // an IPv6 host in brackets
  bool operator==(const HostPort&) const = default;
};

// InvalidArgument, with what was expected, unless `text` is HOST:PORT.
absl::StatusOr<HostPort> ParseHostPort(absl::string_view text);

// `endpoint` ("tcp://0.0.0.0:99" or "0.0.0.0:99") with its host replaced, unless `host` is empty.
std::string WithHost(absl::string_view endpoint, absl::string_view host);

}  // namespace baton
