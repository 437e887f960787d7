#pragma once

// What each subcommand was asked to do. Parsing only: nothing here touches the machine.

#include <optional>
#include <string>
#include <vector>

#include "absl/status/statusor.h"
#include "absl/types/span.h"

namespace baton::ctl {

// The shape of a cluster on one machine; written to its state folder, so that the supervisor can be another
// process.
struct ClusterSpec {
  std::string name = "default";
  std::string model;    // absolute path of a GGUF file
  std::string bin_dir;  // where baton-router, baton-prefill and baton-decode are
  std::string host = "127.0.0.1";
  int port = 8000;  // 0: any free one
  int prefill = 1;
  int decode = 2;
  int ranks = 1;       // of each worker
  int threads = 1;     // of each rank
  int kv_pool_mb = 0;  // 0: no KV pool
  int kv_disk_mb = 0;  // 0: it has no disk tier
  std::string kv_disk_dir;
  std::vector<std::string> worker_flags, router_flags;
};

struct UpOptions {
  ClusterSpec spec;
  bool detach = false;
  int timeout_s = 300;
};

struct DownOptions {
  std::string name = "default";
  int grace_s = 20;
};

// Which router to talk to.
struct ServerOptions {
  std::string url;      // empty: of the cluster that runs here
  std::string api_key;  // empty: Surroundings::api_key
  std::string cacert;   // PEM file of the authorities to trust; empty: the system's
};

struct StatusOptions {
  std::string name = "default";
  ServerOptions server;
  bool json = false;
};

struct LogsOptions {
  std::string name = "default";
  std::string process;  // empty: all
  bool follow = false;
  int lines = 100;
};

struct ChatOptions {
  std::string name = "default";
  ServerOptions server;
  std::string text;  // empty: interactive
  std::string system;
  int max_tokens = 512;
  std::optional<double> temperature;
  std::optional<int> seed;
};

struct MigrateOptions {
  std::string name = "default";
  ServerOptions server;
  std::string stream;  // an id, or how one begins
  std::string to;      // WORKER or WORKER/RANK
};

using Words = absl::Span<const std::string>;

// Each: INVALID_ARGUMENT names the option at fault. `cores` decides the default number of threads.
absl::StatusOr<UpOptions> ParseUp(Words words, int cores);
absl::StatusOr<DownOptions> ParseDown(Words words);
absl::StatusOr<StatusOptions> ParseStatus(Words words);
absl::StatusOr<StatusOptions> ParseStreams(Words words);
absl::StatusOr<MigrateOptions> ParseMigrate(Words words);
absl::StatusOr<LogsOptions> ParseLogs(Words words);
absl::StatusOr<ChatOptions> ParseChat(Words words);

// Threads of each rank where nothing was asked for: the cores shared out among the ranks of the busier role,
// since the prompts of a request are read before its answer is written; at least 1.
int DefaultThreads(int cores, int prefill, int decode, int ranks);

}  // namespace baton::ctl
