#pragma once

// The process around a pool: what baton-kv does from its settings to its end.

#include <cstdint>
#include <string>

namespace baton::pool {

// As given on the command line; main.cc fills it from flags.
struct PoolSettings {
  std::string grpc_listen = "127.0.0.1:0";
  std::string http_listen = "127.0.0.1:0";
  std::string kv_listen = "tcp://127.0.0.1:0";
  std::string advertise_host;
  std::string name = "kv";
  std::string address_file;
  std::string log_level = "info";
  std::string kv_wire = "auto";
  double kv_min_gbps = 0;
  std::string disk_dir;  // empty: no disk tier
  bool kv_curve = true;
  std::string kv_key, kv_allowed_keys;  // files; both or none
  int64_t memory_mb = 1024;
  int64_t disk_mb = 0;
};

// The exit status. Returns after SIGTERM or SIGINT, or if the pool cannot vouch for its memory.
int RunPool(const PoolSettings& settings);

}  // namespace baton::pool
