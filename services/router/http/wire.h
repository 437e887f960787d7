#pragma once

// HTTP/1.1 as bytes: what the server writes (RFC 9112).

#include <string>

#include "absl/strings/string_view.h"

namespace baton::router {

inline constexpr absl::string_view kLastChunk = "0\r\n\r\n";

// Status line, Server, Content-Type and Connection; further headers and the empty line are the caller's.
std::string ResponseHead(int status, absl::string_view content_type, bool keep_alive);
// `data` (not empty) as one chunk of a chunked body.
std::string Chunk(absl::string_view data);
absl::string_view ReasonPhrase(int status);

}  // namespace baton::router
