#include "common/listen.h"

#include "absl/strings/match.h"
#include "absl/strings/numbers.h"
#include "absl/strings/str_cat.h"

namespace baton {
namespace {

std::string Bracketed(absl::string_view host) {
  return absl::StrContains(host, ":") ? absl::StrCat("[", host, "]") : std::string(host);
}

}  // namespace

std::string HostPort::ToString() const {
  return absl::StrCat(Bracketed(host), ":", port);
}

absl::StatusOr<HostPort> ParseHostPort(absl::string_view text) {
  const auto wrong = [&] {
    return absl::InvalidArgumentError(
        absl::StrCat("\"", text, "\" is not HOST:PORT, such as 127.0.0.1:8080"));
  };
  const size_t colon = text.rfind(':');
  uint32_t port = 0;
  if (colon == absl::string_view::npos || !absl::SimpleAtoi(text.substr(colon + 1), &port) || port > 65535)
    return wrong();
  absl::string_view host = text.substr(0, colon);
  if (absl::StartsWith(host, "[") && absl::EndsWith(host, "]")) {
    host = host.substr(1, host.size() - 2);
  } else if (absl::StrContains(host, ":")) {
    return wrong();
  }
  if (host.empty()) return wrong();
  return HostPort{std::string(host), static_cast<uint16_t>(port)};
}

std::string WithHost(absl::string_view endpoint, absl::string_view host) {
  if (host.empty()) return std::string(endpoint);
  const size_t scheme = endpoint.find("://");
  const absl::string_view prefix = scheme == absl::string_view::npos ? "" : endpoint.substr(0, scheme + 3);
  const size_t colon = endpoint.rfind(':');
  if (colon == absl::string_view::npos || colon < prefix.size()) return std::string(endpoint);
  return absl::StrCat(prefix, Bracketed(host), endpoint.substr(colon));
}

}  // namespace baton
