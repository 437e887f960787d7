#pragma once

// The subcommands. Each prints what it does and returns the exit status: 0 done, 1 failed (said why on
// stderr), 3 nothing runs.

#include <string>

#include "tools/ctl/cluster_state.h"
#include "tools/ctl/options.h"

namespace baton::ctl {

// What main knows of the surroundings.
struct Surroundings {
  std::string state_root;  // STATE/baton/HOST: one folder a cluster below it
  std::string self;        // absolute path of this program
  bool terminal = false;   // stdout is one
  std::string api_key;     // for servers, where none is named
};

int Up(const Surroundings& here, UpOptions options);
int Down(const Surroundings& here, const DownOptions& options);
int Status(const Surroundings& here, const StatusOptions& options);
int Streams(const Surroundings& here, const StatusOptions& options);
int Migrate(const Surroundings& here, const MigrateOptions& options);
int Logs(const Surroundings& here, const LogsOptions& options);
int Chat(const Surroundings& here, const ChatOptions& options);

// Prints to stderr, as every command does; returns 1.
int Fail(const std::string& what);

}  // namespace baton::ctl
