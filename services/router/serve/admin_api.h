#pragma once

// What an operator asks a router about its streams. Thread-safe.
//
//   GET  /baton/streams   {"streams":[{"id","worker","rank","prompt_tokens","tokens","movable","why_not"}]}
//   POST /baton/migrate   {"stream":ID,"to":"WORKER" or "WORKER/RANK"}: moves the stream there, and answers
//   when it
//                         decodes there: {"stream","from","to","ms"}. 404: no such stream or rank; 409: that
//                         move is impossible, in words; 503: it failed, and the stream is where it was.

#include <memory>
#include <string>

#include "services/router/http/http_types.h"
#include "services/router/serve/stream_driver.h"

namespace baton::router {

std::string StreamsJson(const StreamTable& streams);
void ServeMigrate(const Cluster& cluster, const std::string& body, std::shared_ptr<HttpExchange> exchange);

}  // namespace baton::router
