// baton-router: the OpenAI API in front of prefill and decode workers.

#include <signal.h>
#include <spdlog/spdlog.h>
#include <sys/resource.h>
#include <unistd.h>

#include <cstdio>
#include <filesystem>
#include <fstream>
#include <iostream>
#include <string>
#include <vector>

#include "absl/flags/flag.h"
#include "absl/flags/parse.h"
#include "absl/flags/usage.h"
#include "absl/flags/usage_config.h"
#include "absl/strings/match.h"
#include "absl/strings/str_cat.h"
#include "absl/synchronization/mutex.h"
#include "common/clock.h"
#include "common/grpc_tls.h"
#include "common/ids.h"
#include "common/listen.h"
#include "common/log.h"
#include "services/router/openai/json_text.h"
#include "services/router/router.h"

ABSL_FLAG(std::string, listen, "127.0.0.1:8000", "HTTP address to serve on; port 0 takes any free one");
ABSL_FLAG(std::string, model, "",
          "GGUF file the workers serve; its tokenizer, chat template and context length are read");
ABSL_FLAG(std::string, model_name, "", "name in the API; empty: the file's name without .gguf");
ABSL_FLAG(std::string, name, "router", "this process's name in the address file");
ABSL_FLAG(std::vector<std::string>, worker, {}, "workers as host:port,host:port,... (their gRPC addresses)");
ABSL_FLAG(std::string, workers_file, "", "file with one host:port a line, read again whenever it changes");
ABSL_FLAG(std::string, workers_dns, "",
          "name:port whose every address is a worker, resolved again every few seconds");
ABSL_FLAG(uint32_t, conditional_prefill_tokens, 64,
          "prompts of which less than this is not cached are computed by the decode worker itself");
ABSL_FLAG(std::string, policy, baton::router::kDefaultPolicy,
          "how streams are placed: a name, or name(parameter=value,...); docs/placement.md");
ABSL_FLAG(std::string, policy_file, "",
          "file with the policy in its first line, instead of --policy; read again on SIGHUP");
ABSL_FLAG(uint64_t, max_body_bytes, 4u << 20, "largest request body");
ABSL_FLAG(uint32_t, max_header_bytes, 16u << 10, "largest request header");
ABSL_FLAG(uint32_t, max_prompt_tokens, 1u << 20, "longest prompt; the model's context bounds it too");
ABSL_FLAG(uint32_t, max_connections, 1024,
          "client connections; for more, idle and slow ones are closed, or the new one is answered 503");
ABSL_FLAG(uint64_t, max_inflight, 256,
          "requests worked on at once; with an SLO the most, and fewer as it needs");
ABSL_FLAG(
    uint64_t, max_inflight_tokens, 1u << 20,
    "tokens of those: prompt, and max_tokens of the answer, but no more than twice what answers lately had");
ABSL_FLAG(uint64_t, max_queue, 256,
          "requests of a priority waiting for a place; further ones are answered 429");
ABSL_FLAG(uint64_t, max_queue_tokens, 1u << 20, "tokens of those");
ABSL_FLAG(absl::Duration, max_queue_time, absl::Seconds(30), "longest wait for a place");
ABSL_FLAG(absl::Duration, ttft_slo, absl::InfiniteDuration(),
          "promised time to the first token: requests that would miss it are answered 429 at once");
ABSL_FLAG(absl::Duration, itl_slo, absl::InfiniteDuration(),
          "promised mean gap between an answer's tokens: fewer requests are worked on at once to keep it");
ABSL_FLAG(uint64_t, routers, 1,
          "routers that serve the same clients and workers; limits are divided among them");
ABSL_FLAG(std::string, routers_dns, "",
          "name:port with an address for each live router, resolved again every few seconds: counts instead");
ABSL_FLAG(
    std::string, api_keys, "",
    "file of API keys (./baton keys api), read again when it changes; empty: everybody may do everything");
ABSL_FLAG(std::string, tls_cert, "", "certificate chain (PEM) to serve HTTPS with; empty: HTTP");
ABSL_FLAG(std::string, tls_key, "", "its private key (PEM)");
ABSL_FLAG(std::string, tls_client_ca, "",
          "only clients with a certificate of this authority (PEM) are let in");
ABSL_FLAG(std::string, grpc_tls_cert, "",
          "certificate chain (PEM) to show workers; empty: no TLS to workers");
ABSL_FLAG(std::string, grpc_tls_key, "", "its private key (PEM)");
ABSL_FLAG(std::string, grpc_tls_ca, "", "the authority (PEM) that has certified workers and routers");
ABSL_FLAG(absl::Duration, request_timeout, absl::Seconds(600), "longest life of a request");
ABSL_FLAG(absl::Duration, header_timeout, absl::Seconds(10), "time for a request's header to arrive");
ABSL_FLAG(absl::Duration, body_timeout, absl::Seconds(30), "time for a request's body to arrive");
ABSL_FLAG(absl::Duration, idle_timeout, absl::Seconds(75), "time an idle connection is kept");
ABSL_FLAG(absl::Duration, write_timeout, absl::Seconds(30), "time a client may take to read what was sent");
ABSL_FLAG(uint64_t, max_send_buffer_bytes, 1u << 20, "unread bytes after which a slow reader is cut off");
ABSL_FLAG(uint64_t, max_answer_bytes, 64u << 20,
          "held for an answer that is not streamed; larger ones are refused");
ABSL_FLAG(bool, event_ids, true,
          "events of streamed answers carry ids, by which any router resumes them (docs/streams.md)");
ABSL_FLAG(absl::Duration, accept_timeout, absl::Seconds(10),
          "time for a decode worker to accept or refuse a stream");
ABSL_FLAG(absl::Duration, first_token_timeout, absl::Seconds(300), "time for a placed stream's first token");
ABSL_FLAG(absl::Duration, stall_timeout, absl::Seconds(60), "longest gap between a stream's tokens");
ABSL_FLAG(absl::Duration, silence_timeout, absl::Seconds(1),
          "a worker that reports nothing for so long gets no new streams");
ABSL_FLAG(absl::Duration, no_worker_timeout, absl::Seconds(5),
          "time a request waits while no decode worker is known; then 503");
ABSL_FLAG(absl::Duration, capacity_timeout, absl::Seconds(30),
          "time an admitted request waits for room at a worker, no longer than ttft_slo; then 429");
ABSL_FLAG(uint32_t, max_attempts, 3, "placements of a stream that has not begun to answer");
ABSL_FLAG(uint32_t, drain_moves, 8,
          "streams moved away from draining decode workers at a time; 0: none is moved");
ABSL_FLAG(int, io_threads, 2, "threads for HTTP, JSON and tokenising");
ABSL_FLAG(std::string, address_file, "", "written when listening: JSON with name, role, http and pid");
ABSL_FLAG(absl::Duration, drain_grace, absl::Seconds(30), "time for open requests to finish after SIGTERM");
ABSL_FLAG(std::string, log_level, "info", "trace, debug, info, warn, error or off");

namespace baton::router {
namespace {

constexpr absl::Duration kWatchInterval = absl::Milliseconds(200);

constexpr uint64_t kOtherFiles = 256;  // workers' channels, the listener, logs, the libraries' own

constexpr char kUsage[] =
    "Serves the OpenAI API (chat completions, completions, models; streaming and not) over prefill and "
    "decode workers.\n\n"
    "  baton-router --model=model.gguf --worker=10.0.0.1:9001,10.0.0.2:9001 --listen=0.0.0.0:8000\n\n"
    "Workers say themselves what they do; give the addresses of all of them, in any order, by --worker, "
    "--workers_file or\n"
    "--workers_dns. The same port answers /healthz, /readyz, /metrics and /baton/status. SIGTERM drains.";

absl::StatusOr<std::string> PolicyFromFlags() {
  const std::string path = absl::GetFlag(FLAGS_policy_file);
  if (path.empty()) return absl::GetFlag(FLAGS_policy);
  std::ifstream file(path);
  std::string line;
  if (!std::getline(file, line))
    return absl::NotFoundError(absl::StrCat("no policy can be read from ", path));
  return line;
}

void HttpFromFlags(HttpLimits& http) {
  http.max_body_bytes = absl::GetFlag(FLAGS_max_body_bytes);
  http.max_header_bytes = absl::GetFlag(FLAGS_max_header_bytes);
  http.max_connections = absl::GetFlag(FLAGS_max_connections);
  http.max_send_buffer_bytes = absl::GetFlag(FLAGS_max_send_buffer_bytes);
  http.header_timeout = absl::GetFlag(FLAGS_header_timeout);
  http.body_timeout = absl::GetFlag(FLAGS_body_timeout);
  http.idle_timeout = absl::GetFlag(FLAGS_idle_timeout);
  http.write_timeout = absl::GetFlag(FLAGS_write_timeout);
}

void AdmissionFromFlags(RouterConfig& config) {
  config.admission.max_inflight = absl::GetFlag(FLAGS_max_inflight);
  config.admission.max_inflight_tokens = absl::GetFlag(FLAGS_max_inflight_tokens);
  config.admission.max_queue = absl::GetFlag(FLAGS_max_queue);
  config.admission.max_queue_tokens = absl::GetFlag(FLAGS_max_queue_tokens);
  config.admission.max_queue_time = absl::GetFlag(FLAGS_max_queue_time);
  config.admission.ttft_slo = absl::GetFlag(FLAGS_ttft_slo);
  config.admission.itl_slo = absl::GetFlag(FLAGS_itl_slo);
  config.routers = absl::GetFlag(FLAGS_routers);
  config.routers_dns = absl::GetFlag(FLAGS_routers_dns);
}

absl::Status SecurityFromFlags(RouterConfig& config) {
  config.api_keys_file = absl::GetFlag(FLAGS_api_keys);
  config.tls = {.certificate = absl::GetFlag(FLAGS_tls_cert),
                .key = absl::GetFlag(FLAGS_tls_key),
                .client_authority = absl::GetFlag(FLAGS_tls_client_ca)};
  if (!config.tls.empty() && (config.tls.certificate.empty() || config.tls.key.empty()))
    return absl::InvalidArgumentError("HTTPS needs both --tls_cert and --tls_key");
  config.calls.tls = {.certificate = absl::GetFlag(FLAGS_grpc_tls_cert),
                      .key = absl::GetFlag(FLAGS_grpc_tls_key),
                      .authority = absl::GetFlag(FLAGS_grpc_tls_ca)};
  return CheckGrpcTls(config.calls.tls);
}

absl::StatusOr<RouterConfig> ConfigFromFlags() {
  RouterConfig config;
  const absl::StatusOr<HostPort> listen = ParseHostPort(absl::GetFlag(FLAGS_listen));
  if (!listen.ok()) return listen.status();
  if (absl::GetFlag(FLAGS_model).empty())
    return absl::InvalidArgumentError("--model is needed: the GGUF file the workers serve");
  config.host = listen->host;
  config.port = listen->port;
  config.io_threads = std::max(1, absl::GetFlag(FLAGS_io_threads));
  config.model_path = absl::GetFlag(FLAGS_model);
  config.model_name = absl::GetFlag(FLAGS_model_name);
  config.max_prompt_tokens = absl::GetFlag(FLAGS_max_prompt_tokens);
  config.request_timeout = absl::GetFlag(FLAGS_request_timeout);
  config.max_answer_bytes = absl::GetFlag(FLAGS_max_answer_bytes);
  config.event_ids = absl::GetFlag(FLAGS_event_ids);
  HttpFromFlags(config.http);
  AdmissionFromFlags(config);
  if (const absl::Status status = SecurityFromFlags(config); !status.ok()) return status;
  config.session.max_attempts = absl::GetFlag(FLAGS_max_attempts);
  config.drain_moves.max_moving = absl::GetFlag(FLAGS_drain_moves);
  config.session.no_worker_timeout = absl::GetFlag(FLAGS_no_worker_timeout);
  config.session.capacity_timeout =
      std::min(absl::GetFlag(FLAGS_capacity_timeout), absl::GetFlag(FLAGS_ttft_slo));
  config.session.accept_timeout = absl::GetFlag(FLAGS_accept_timeout);
  config.session.first_token_timeout = absl::GetFlag(FLAGS_first_token_timeout);
  config.session.stall_timeout = absl::GetFlag(FLAGS_stall_timeout);
  absl::StatusOr<std::string> policy = PolicyFromFlags();
  if (!policy.ok()) return policy.status();
  config.policy = *std::move(policy);
  config.registry.seed = RandomId128().lo;
  config.registry.ttft_slo = absl::GetFlag(FLAGS_ttft_slo);
  config.registry.itl_slo = absl::GetFlag(FLAGS_itl_slo);
  config.registry.placement.direct_below_tokens = absl::GetFlag(FLAGS_conditional_prefill_tokens);
  config.registry.table.silence_timeout = absl::GetFlag(FLAGS_silence_timeout);
  config.calls.watch_interval = kWatchInterval;
  config.discovery.workers = absl::GetFlag(FLAGS_worker);
  config.discovery.file = absl::GetFlag(FLAGS_workers_file);
  config.discovery.dns_name = absl::GetFlag(FLAGS_workers_dns);
  if (const absl::Status status = CheckDiscovery(config.discovery); !status.ok()) return status;
  return config;
}

// Lets every connection that the flags allow have its file descriptor, as far as the system does.
void FitOpenFiles(uint32_t& max_connections) {
  rlimit files{};
  if (getrlimit(RLIMIT_NOFILE, &files) != 0) return;
  if (files.rlim_cur < files.rlim_max) {
    const rlimit wanted{files.rlim_max, files.rlim_max};
    if (setrlimit(RLIMIT_NOFILE, &wanted) == 0) files = wanted;
  }
  if (files.rlim_cur >= max_connections + kOtherFiles) return;
  const uint32_t fitting =
      files.rlim_cur > kOtherFiles ? static_cast<uint32_t>(files.rlim_cur - kOtherFiles) : 1;
  spdlog::warn("only {} files may be open (ulimit -n): {} client connections instead of {}", files.rlim_cur,
               fitting, max_connections);
  max_connections = fitting;
}

void ExitAtOnce(int) {
  _exit(130);
}

// Written whole or not at all.
absl::Status WriteAddressFile(const std::string& path, const std::string& http) {
  const std::string unfinished = absl::StrCat(path, ".", getpid(), ".tmp");
  {
    std::ofstream file(unfinished);
    file << R"({"name":)" << JsonString(absl::GetFlag(FLAGS_name)) << R"(,"role":"router","http":)"
         << JsonString(http) << R"(,"pid":)" << getpid() << "}\n";
    if (!file.flush()) return absl::UnavailableError(absl::StrCat("cannot write ", unfinished));
  }
  std::error_code error;
  std::filesystem::rename(unfinished, path, error);
  return error ? absl::UnavailableError(absl::StrCat("cannot write ", path, ": ", error.message()))
               : absl::OkStatus();
}

void ReloadPolicy(Router* router) {
  const absl::StatusOr<std::string> text = PolicyFromFlags();
  const absl::Status status = text.ok() ? router->SetPolicy(*text) : text.status();
  if (status.ok()) {
    spdlog::info("streams are placed by {}", *text);
  } else {
    spdlog::error("the policy stays as it was: {}", std::string(status.message()));
  }
}

absl::Status Run(const sigset_t& signals) {
  absl::StatusOr<RouterConfig> config = ConfigFromFlags();
  if (!config.ok()) return config.status();
  FitOpenFiles(config->http.max_connections);
  const SteadyClock clock;
  absl::StatusOr<std::unique_ptr<Router>> router = Router::Start(*config, clock);
  if (!router.ok()) return router.status();
  const std::string http = HostPort{config->host, (*router)->port()}.ToString();
  spdlog::info("serving {} on http://{}", (*router)->model_name(), http);
  if (const std::string path = absl::GetFlag(FLAGS_address_file); !path.empty()) {
    if (const absl::Status status = WriteAddressFile(path, http); !status.ok()) return status;
  }
  int signal = 0;
  while (sigwait(&signals, &signal) == 0 && signal == SIGHUP) ReloadPolicy(router->get());
  spdlog::info("draining {} open requests; a second signal ends at once", (*router)->open_requests());
  ::signal(SIGTERM, ExitAtOnce);
  ::signal(SIGINT, ExitAtOnce);
  pthread_sigmask(SIG_UNBLOCK, &signals, nullptr);
  const bool finished = (*router)->Drain(absl::GetFlag(FLAGS_drain_grace));
  spdlog::info("{}", finished ? "drained" : "the grace time is over; open requests were ended");
  return absl::OkStatus();
}

}  // namespace
}  // namespace baton::router

int main(int argc, char** argv) {
  // Debian builds absl with it; gRPC would pay for it at every lock.
  absl::SetMutexDeadlockDetectionMode(absl::OnDeadlockCycle::kIgnore);
  absl::SetProgramUsageMessage(baton::router::kUsage);
  absl::FlagsUsageConfig help;
  help.contains_help_flags = [](absl::string_view file) { return absl::EndsWith(file, "router/main.cc"); };
  absl::SetFlagsUsageConfig(help);
  const std::vector<char*> rest = absl::ParseCommandLine(argc, argv);
  if (rest.size() > 1) {
    std::cerr << "baton-router: unexpected argument '" << rest[1] << "'; see --help\n";
    return 2;
  }
  // Before any thread exists, so that only sigwait receives them.
  sigset_t signals;
  sigemptyset(&signals);
  sigaddset(&signals, SIGTERM);
  sigaddset(&signals, SIGINT);
  sigaddset(&signals, SIGHUP);
  pthread_sigmask(SIG_BLOCK, &signals, nullptr);
  ::signal(SIGPIPE, SIG_IGN);
  absl::Status status = baton::SetUpLogging("router", absl::GetFlag(FLAGS_log_level));
  if (status.ok()) status = baton::router::Run(signals);
  if (status.ok()) return 0;
  std::cerr << "baton-router: " << status.message() << "\n";
  return 1;
}
