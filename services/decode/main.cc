// baton-decode: flags, and nothing else.
#include <cstdio>
#include <vector>

#include "absl/flags/flag.h"
#include "absl/flags/parse.h"
#include "absl/flags/usage.h"
#include "absl/flags/usage_config.h"
#include "absl/strings/match.h"
#include "services/worker/worker_main.h"

ABSL_FLAG(std::string, model, "", "The GGUF file to serve.");
ABSL_FLAG(std::string, grpc_listen, "127.0.0.1:0", "HOST:PORT for routers; port 0: any free one.");
ABSL_FLAG(std::string, grpc_tls_cert, "",
          "Certificate chain (PEM) to show routers, which must show one too; empty: no TLS.");
ABSL_FLAG(std::string, grpc_tls_key, "", "Its private key (PEM).");
ABSL_FLAG(std::string, grpc_tls_ca, "", "The authority (PEM) that has certified workers and routers.");
ABSL_FLAG(std::string, http_listen, "127.0.0.1:0", "HOST:PORT for /healthz, /readyz and /metrics.");
ABSL_FLAG(std::string, kv_listen, "tcp://127.0.0.1:0",
          "ZeroMQ endpoint where other workers fetch keys and values.");
ABSL_FLAG(std::string, advertise_host, "",
          "Host name that others reach this worker by, where it listens on a wildcard.");
ABSL_FLAG(std::string, name, "", "Name in logs and status; the role and the process id if empty.");
ABSL_FLAG(std::string, address_file, "", "JSON file to write once ready: name, role, addresses, pid.");
ABSL_FLAG(std::string, log_level, "info", "trace, debug, info, warn, error or off.");
ABSL_FLAG(std::string, kv_dtype, "f16", "How keys and values are stored: f16, bf16 or f32.");
ABSL_FLAG(
    bool, accept_inexact_kv, false,
    "Give and take keys and values also where the other worker's kernels or --kv_dtype differ, never those "
    "of another model: such answers are marked inexact. Both workers must want it, or are never paired.");
ABSL_FLAG(bool, kv_curve, true,
          "Encrypt handoffs, and prove the owner's identity to readers, with CURVE keys made at start. Bytes "
          "over RDMA, --kv_wire=ucx and --kv_wire=tcp are in the clear all the same.");
ABSL_FLAG(std::string, kv_key, "",
          "This process's secret key file (./baton keys): then only who is listed may connect to its "
          "handoffs, and it to theirs. Empty: anybody may. Watched, as is the list.");
ABSL_FLAG(std::string, kv_allowed_keys, "", "The list of public keys that are let in; goes with --kv_key.");
ABSL_FLAG(std::string, kv_wire, "auto",
          "How keys and values are fetched: shm, ucx, tcp, zmq, or auto, the first of these that reaches the "
          "peer (ucx only by RDMA, tcp only without --kv_curve). What does not come up as asked is an error. "
          "ucx and tcp send the bytes in the clear.");
ABSL_FLAG(double, kv_min_gbps, 0,
          "Peers whose keys and values come slower than this, in 1e9 bytes a second, are an error; measured "
          "when connecting.");
ABSL_FLAG(int, ranks, 1, "Data-parallel ranks: engines that share the weights.");
ABSL_FLAG(int, threads, 1, "Threads of each rank.");
ABSL_FLAG(int64_t, kv_memory_mb, 256, "Memory for keys and values, MiB per rank.");
ABSL_FLAG(int64_t, pages, 0, "Pages for keys and values per rank; over --kv_memory_mb if positive.");
ABSL_FLAG(int, page_tokens, 16, "Tokens in a page: a multiple of 16.");
ABSL_FLAG(int64_t, token_budget, 512, "Tokens that one step computes at most.");
ABSL_FLAG(int64_t, prefill_chunk, 256, "Tokens of one prompt in a step at most.");
ABSL_FLAG(int64_t, max_running, 64, "Sequences that decode at once, per rank.");
ABSL_FLAG(int, layer_group, 4, "Layers computed between two offers of a prompt's keys and values.");
ABSL_FLAG(int64_t, emission_buffer, 256,
          "Tokens that a stream's reader may be behind by before it is cut off.");
ABSL_FLAG(absl::Duration, record_retention, absl::Minutes(10),
          "How long a streamed request and its tokens are kept after its call ended, so that any router can "
          "resume it (docs/streams.md). 0: none is kept.");
ABSL_FLAG(int64_t, record_memory_mb, 64, "Memory for these records, MiB; the oldest go first.");
ABSL_FLAG(absl::Duration, linger_time, absl::Seconds(5),
          "How long a recorded stream runs on after its router's call broke, for another router to take it "
          "over; --emission_buffer tokens at most. 0: not at all.");
ABSL_FLAG(absl::Duration, drain_grace, absl::Seconds(30), "On SIGTERM, how long running streams may go on.");

int main(int argc, char** argv) {
  absl::SetProgramUsageMessage(
      "baton-decode --model=FILE.gguf [flags]\n\nA worker that takes over the keys and values of a prompt "
      "and writes the answer.\n"
      "Runs until SIGTERM or SIGINT, then drains; a second signal ends it at once.");
  absl::FlagsUsageConfig usage;
  usage.contains_help_flags = [](absl::string_view file) {
    return absl::EndsWith(file, "services/decode/main.cc");
  };
  absl::SetFlagsUsageConfig(usage);
  const std::vector<char*> words = absl::ParseCommandLine(argc, argv);
  if (words.size() > 1) {
    std::fprintf(stderr, "baton-decode: \"%s\" is no flag; see --help\n", words[1]);
    return 1;
  }
  return baton::RunWorker(baton::WorkerRole::kDecode,
                          {.model = absl::GetFlag(FLAGS_model),
                           .grpc_listen = absl::GetFlag(FLAGS_grpc_listen),
                           .grpc_tls = {.certificate = absl::GetFlag(FLAGS_grpc_tls_cert),
                                        .key = absl::GetFlag(FLAGS_grpc_tls_key),
                                        .authority = absl::GetFlag(FLAGS_grpc_tls_ca)},
                           .http_listen = absl::GetFlag(FLAGS_http_listen),
                           .kv_listen = absl::GetFlag(FLAGS_kv_listen),
                           .advertise_host = absl::GetFlag(FLAGS_advertise_host),
                           .name = absl::GetFlag(FLAGS_name),
                           .kv_dtype = absl::GetFlag(FLAGS_kv_dtype),
                           .accept_inexact_kv = absl::GetFlag(FLAGS_accept_inexact_kv),
                           .address_file = absl::GetFlag(FLAGS_address_file),
                           .kv_curve = absl::GetFlag(FLAGS_kv_curve),
                           .kv_key = absl::GetFlag(FLAGS_kv_key),
                           .kv_allowed_keys = absl::GetFlag(FLAGS_kv_allowed_keys),
                           .kv_wire = absl::GetFlag(FLAGS_kv_wire),
                           .kv_min_gbps = absl::GetFlag(FLAGS_kv_min_gbps),
                           .log_level = absl::GetFlag(FLAGS_log_level),
                           .ranks = absl::GetFlag(FLAGS_ranks),
                           .threads = absl::GetFlag(FLAGS_threads),
                           .kv_memory_mb = absl::GetFlag(FLAGS_kv_memory_mb),
                           .pages = absl::GetFlag(FLAGS_pages),
                           .page_tokens = absl::GetFlag(FLAGS_page_tokens),
                           .token_budget = absl::GetFlag(FLAGS_token_budget),
                           .prefill_chunk = absl::GetFlag(FLAGS_prefill_chunk),
                           .max_running = absl::GetFlag(FLAGS_max_running),
                           .layer_group = absl::GetFlag(FLAGS_layer_group),
                           .emission_buffer = absl::GetFlag(FLAGS_emission_buffer),
                           .record_retention = absl::GetFlag(FLAGS_record_retention),
                           .record_memory_mb = absl::GetFlag(FLAGS_record_memory_mb),
                           .linger_time = absl::GetFlag(FLAGS_linger_time),
                           .drain_grace = absl::GetFlag(FLAGS_drain_grace)});
}
