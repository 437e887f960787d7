#pragma once

// What baton-prefill and baton-decode can be told, and what follows from it.

#include <cstdint>
#include <string>

#include "absl/status/statusor.h"
#include "engine/model/llama.h"
#include "services/kv_transfer/transport/fast_wire.h"
#include "services/kv_transfer/transport/zmq_socket.h"
#include "services/worker/worker.h"
#include "services/worker/worker_server.h"

namespace baton {

// As given on the command line; main.cc fills it from flags.
struct WorkerSettings {
  std::string model;
  std::string grpc_listen = "127.0.0.1:0";
  GrpcTlsFiles grpc_tls;
  std::string http_listen = "127.0.0.1:0";
  std::string kv_listen = "tcp://127.0.0.1:0";
  std::string advertise_host;
  std::string name;
  std::string kv_pool;  // HOST:PORT or unix:PATH of the node's KV pool; empty: none
  std::string kv_dtype = "f16";
  bool accept_inexact_kv = false;
  std::string address_file;
  bool kv_curve = true;
  std::string kv_key, kv_allowed_keys;  // files; both or none
  std::string kv_wire = "auto";
  double kv_min_gbps = 0;
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
  absl::Duration record_retention = absl::Minutes(10);
  int64_t record_memory_mb = 64;
  absl::Duration linger_time = absl::Seconds(5);
  absl::Duration drain_grace = absl::Seconds(30);
};

// The settings as their parts want them.
struct WorkerPlan {
  std::string process;  // "baton-prefill" or "baton-decode"
  WorkerOptions worker;
  WorkerServerOptions server;
  HostPort http;
  ZmqOptions wire;                         // the messages
  WireChoice kv_wire = WireChoice::kAuto;  // the bytes
  LlamaOptions model;                      // page_count still open if it follows from kv_memory_mb
};

// InvalidArgument names the setting and its bounds.
absl::StatusOr<WorkerPlan> PlanWorker(WorkerRole role, const WorkerSettings& settings);

// Fills plan.model.page_count from the model file's shape and kv_memory_mb, unless pages are given.
absl::Status PlanPages(const WorkerSettings& settings, WorkerPlan* plan);

}  // namespace baton
