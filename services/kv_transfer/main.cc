// baton-kv: a node's KV pool.
#include <cstdio>

#include "absl/flags/flag.h"
#include "absl/flags/parse.h"
#include "absl/flags/usage.h"
#include "absl/flags/usage_config.h"
#include "absl/strings/match.h"
#include "services/kv_transfer/pool/service/pool_process.h"

ABSL_FLAG(std::string, grpc_listen, "127.0.0.1:0",
          "HOST:PORT for workers, port 0: any free one; or unix:PATH.");
ABSL_FLAG(std::string, http_listen, "127.0.0.1:0", "HOST:PORT for /healthz, /readyz and /metrics.");
ABSL_FLAG(std::string, kv_listen, "tcp://127.0.0.1:0", "ZeroMQ endpoint for handoffs.");
ABSL_FLAG(std::string, advertise_host, "", "The name by which other machines reach this one.");
ABSL_FLAG(std::string, name, "kv", "A name for this process.");
ABSL_FLAG(std::string, address_file, "", "Write the addresses and the process id there, as JSON.");
ABSL_FLAG(std::string, log_level, "info", "trace, debug, info, warn, error or off.");
ABSL_FLAG(bool, kv_curve, true, "Encrypt handoffs, with CURVE keys made at start.");
ABSL_FLAG(std::string, kv_key, "",
          "A CURVE key of this process's own (./baton keys); with --kv_allowed_keys.");
ABSL_FLAG(std::string, kv_allowed_keys, "", "The file of public keys that may connect.");
ABSL_FLAG(
    std::string, kv_wire, "auto",
    "How keys and values are fetched: shm, ucx, tcp, zmq, or auto. ucx and tcp send them in the clear; auto "
    "takes tcp only without --kv_curve.");
ABSL_FLAG(double, kv_min_gbps, 0, "Peers slower than this, in 1e9 bytes a second, are an error.");
ABSL_FLAG(int64_t, memory_mb, 1024, "The memory tier, MiB.");
ABSL_FLAG(std::string, disk_dir, "", "A folder for the disk tier, of this pool alone; empty: no disk tier.");
ABSL_FLAG(int64_t, disk_mb, 0, "The disk tier, MiB.");

int main(int argc, char** argv) {
  absl::SetProgramUsageMessage(
      "baton-kv [flags]\n\nKeeps keys and values of prompts in memory and on disk, for the workers that are "
      "started with --kv_pool=HOST:PORT.\nRuns until SIGTERM or SIGINT.");
  absl::FlagsUsageConfig usage;
  usage.contains_help_flags = [](absl::string_view file) {
    return absl::EndsWith(file, "services/kv_transfer/main.cc");
  };
  absl::SetFlagsUsageConfig(usage);
  const std::vector<char*> words = absl::ParseCommandLine(argc, argv);
  if (words.size() > 1) {
    std::fprintf(stderr, "baton-kv: \"%s\" is no flag; see --help\n", words[1]);
    return 1;
  }
  return baton::pool::RunPool({.grpc_listen = absl::GetFlag(FLAGS_grpc_listen),
                               .http_listen = absl::GetFlag(FLAGS_http_listen),
                               .kv_listen = absl::GetFlag(FLAGS_kv_listen),
                               .advertise_host = absl::GetFlag(FLAGS_advertise_host),
                               .name = absl::GetFlag(FLAGS_name),
                               .address_file = absl::GetFlag(FLAGS_address_file),
                               .log_level = absl::GetFlag(FLAGS_log_level),
                               .kv_wire = absl::GetFlag(FLAGS_kv_wire),
                               .kv_min_gbps = absl::GetFlag(FLAGS_kv_min_gbps),
                               .disk_dir = absl::GetFlag(FLAGS_disk_dir),
                               .kv_curve = absl::GetFlag(FLAGS_kv_curve),
                               .kv_key = absl::GetFlag(FLAGS_kv_key),
                               .kv_allowed_keys = absl::GetFlag(FLAGS_kv_allowed_keys),
                               .memory_mb = absl::GetFlag(FLAGS_memory_mb),
                               .disk_mb = absl::GetFlag(FLAGS_disk_mb)});
}
