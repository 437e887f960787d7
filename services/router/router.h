#pragma once

// The router as one object: everything main.cc builds from flags, and what tests build from values.
//
// Who owns what, on which thread:
//
//   I/O threads (a few)   one Asio loop. Each client connection is a strand; the connection, its exchange,
//                         the request (serve/completion), its choices (serve/stream_driver,
//                         policy/stream_session) and their text live on that strand and need no lock.
//                         JSON, templates and tokenising run there too.
//   gRPC's threads        deliver workers' messages. They touch nothing of a request: each message is
//                         posted to its strand. Watch events go straight into the registry.
//   registry thread       reconnects watches, notices silence. The worker table is under the registry's
//                         one mutex, which strands take for the length of a placement.
//   discovery thread      reads the workers file, asks DNS; hands endpoints to the registry.
//   drain mover           looks for ranks that drain, and asks strands to move their streams.
//   main                  waits for SIGTERM, then Drain.
//
// A request: connection -> RouterHandler -> Completion (parse, tokenise, AdmissionGate)
//   -> StreamDriver per choice -> Registry.Place -> WorkerCalls.Decode, then Prefill
//   -> tokens posted back -> TextAssembler -> Answer -> connection.

#include <cstdint>
#include <memory>
#include <string>
#include <vector>

#include "absl/status/statusor.h"
#include "absl/time/time.h"
#include "common/clock.h"
#include "services/router/http/http_types.h"
#include "services/router/openai/parse.h"
#include "services/router/policy/admission.h"
#include "services/router/policy/drain_moves.h"
#include "services/router/policy/policies/factory.h"
#include "services/router/policy/stream_session.h"
#include "services/router/registry/discovery.h"
#include "services/router/registry/registry.h"
#include "services/router/rpc/worker_calls.h"

namespace baton::router {

struct RouterConfig {
  std::string host = "127.0.0.1";
  uint16_t port = 0;  // 0: any
  int io_threads = 2;
  std::string model_path;                 // GGUF: tokenizer, chat template and context length are read
  std::string model_name;                 // empty: the file's name without .gguf
  uint32_t max_prompt_tokens = 1u << 20;  // never more than the context allows
  absl::Duration request_timeout = absl::Seconds(600);
  uint64_t max_answer_bytes = 64u << 20;  // held for an answer that is not streamed
  bool event_ids = true;                  // streamed answers can be resumed (docs/streams.md)
  HttpLimits http;
  TlsFiles tls;
  ParseLimits parse;
  AdmissionConfig admission;
  SessionConfig session;
  RegistryConfig registry;
  std::string policy = kDefaultPolicy;  // policy/policies/factory.h
  WorkerCallsConfig calls;
  DiscoveryConfig discovery;
  uint64_t routers = 1;       // alive, this one included; they share rate limits and capacity
  std::string routers_dns;    // host:port with an address for each; empty: `routers`, always
  std::string api_keys_file;  // common/api_keys.h; empty: everybody may do everything
  DrainMovesConfig drain_moves;
};

class Router {
 public:
  // Loads the model's text parts, finds workers and listens. Errors name what to do about them.
  static absl::StatusOr<std::unique_ptr<Router>> Start(const RouterConfig& config, const Clock& clock);
  ~Router();  // stops at once

  uint16_t port() const;
  const std::string& model_name() const;
  bool CanDecode() const;
  // Streams are placed by another policy from now on; InvalidArgument: by the same as before.
  absl::Status SetPolicy(const std::string& text);
  int64_t open_requests() const;
  uint32_t connections() const;
  // Refuses new requests, waits for the open ones up to `grace`, then ends what is left. True if nothing was
  // cut off.
  bool Drain(absl::Duration grace);

 private:
  struct Impl;
  explicit Router(std::unique_ptr<Impl> impl);
  std::unique_ptr<Impl> impl_;
};

}  // namespace baton::router
