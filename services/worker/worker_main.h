#pragma once

// What baton-prefill and baton-decode have in common: settings in, a running process until a signal, an exit code out.

#include <cstdint>
#include <string>

#include "services/worker/worker_types.h"

namespace baton {

// As given on the command line; main.cc fills it from flags.
struct WorkerSettings {
  std::string model;
  std::string grpc_listen = "127.0.0.1:0";
  std::string http_listen = "127.0.0.1:0";
  std::string kv_listen = "tcp://127.0.0.1:0";
  std::string advertise_host;
  std::string name;
  std::string kv_dtype = "f16";
  std::string address_file;
  std::string log_level = "info";
  int ranks = 1;
  int threads = 1;
  int64_t kv_memory_mb = 256;  // per rank
  int64_t pages = 0;           // per rank; over kv_memory_mb if positive
  int page_tokens = 16;
  int64_t token_budget = 512;
  int64_t prefill_chunk = 256;
  int64_t max_running = 64;
  int layer_group = 4;
  int64_t emission_buffer = 256;
  absl::Duration drain_grace = absl::Seconds(30);
};

// 0 after a drain by SIGTERM or SIGINT, 1 with one line on stderr if it cannot start, 130 at a second signal.
int RunWorker(WorkerRole role, const WorkerSettings& settings);

}  // namespace baton
