#include "tools/ctl/options.h"

#include <algorithm>

#include "absl/strings/ascii.h"
#include "absl/strings/str_cat.h"
#include "absl/strings/str_join.h"
#include "absl/strings/str_split.h"
#include "common/status_macros.h"
#include "tools/ctl/arguments.h"
#include "tools/ctl/pool_options.h"

namespace baton::ctl {
namespace {

constexpr int kMostWorkers = 64;
constexpr int kMostGrace = 20;  // seconds: no process drains longer

// Cluster names become file names.
absl::StatusOr<std::string> ParseName(const Arguments& arguments) {
  const std::string name = arguments.Text("name", "default");
  const bool plain = !name.empty() && name.size() <= 32 && std::all_of(name.begin(), name.end(), [](char c) {
    return absl::ascii_isalnum(c) || c == '-' || c == '_';
  });
  if (!plain) return absl::InvalidArgumentError("--name must be 1 to 32 letters, digits, '-' or '_'");
  return name;
}

absl::StatusOr<ServerOptions> ParseServer(const Arguments& arguments) {
  ServerOptions server{arguments.Text("url", ""), arguments.Text("api_key", ""),
                       arguments.Text("cacert", "")};
  for (const char* name : {"url", "api_key", "cacert"})
    if (arguments.Has(name) && arguments.Text(name, "").empty())
      return absl::InvalidArgumentError(absl::StrCat("--", name, " is empty"));
  return server;
}

absl::Status RefusePositional(const Arguments& arguments) {
  if (arguments.positional().empty()) return absl::OkStatus();
  return absl::InvalidArgumentError(absl::StrCat("unexpected '", arguments.positional().front(), "'"));
}

}  // namespace

int DefaultThreads(int cores, int prefill, int decode, int ranks) {
  return std::max(1, cores / std::max(1, std::max(prefill, decode) * ranks));
}

absl::StatusOr<UpOptions> ParseUp(Words words, int cores) {
  BATON_ASSIGN_OR_RETURN(const Arguments arguments,
                         Arguments::Parse(words,
                                          {"prefill", "decode", "ranks", "threads", "model", "port", "listen",
                                           "name", "timeout", "router-flags", "kv-pool", "kv-disk"},
                                          {"detach"}));
  BATON_RETURN_IF_ERROR(RefusePositional(arguments));
  UpOptions up;
  ClusterSpec& spec = up.spec;
  BATON_ASSIGN_OR_RETURN(spec.name, ParseName(arguments));
  BATON_ASSIGN_OR_RETURN(spec.prefill, arguments.Number("prefill", 1, 0, kMostWorkers));
  BATON_ASSIGN_OR_RETURN(spec.decode, arguments.Number("decode", 2, 1, kMostWorkers));
  BATON_ASSIGN_OR_RETURN(spec.ranks, arguments.Number("ranks", 1, 1, 64));
  const int threads = DefaultThreads(cores, spec.prefill, spec.decode, spec.ranks);
  BATON_ASSIGN_OR_RETURN(spec.threads, arguments.Number("threads", threads, 1, 1024));
  BATON_ASSIGN_OR_RETURN(spec.port, arguments.Number("port", 8000, 0, 65535));
  BATON_ASSIGN_OR_RETURN(up.timeout_s, arguments.Number("timeout", 300, 1, 86400));
  BATON_RETURN_IF_ERROR(ParsePoolOptions(arguments, &spec));
  spec.host = arguments.Text("listen", spec.host);
  spec.model = arguments.Text("model", "");
  spec.worker_flags = arguments.passed_on();
  spec.router_flags = absl::StrSplit(arguments.Text("router-flags", ""), ' ', absl::SkipEmpty());
  if (spec.model.empty()) return absl::InvalidArgumentError("--model PATH is needed: a GGUF file");
  up.detach = arguments.Has("detach");
  return up;
}

absl::StatusOr<DownOptions> ParseDown(Words words) {
  BATON_ASSIGN_OR_RETURN(const Arguments arguments, Arguments::Parse(words, {"name", "grace"}, {}));
  BATON_RETURN_IF_ERROR(RefusePositional(arguments));
  DownOptions down;
  BATON_ASSIGN_OR_RETURN(down.name, ParseName(arguments));
  BATON_ASSIGN_OR_RETURN(down.grace_s, arguments.Number("grace", kMostGrace, 0, kMostGrace));
  return down;
}

absl::StatusOr<StatusOptions> ParseStatus(Words words) {
  BATON_ASSIGN_OR_RETURN(const Arguments arguments,
                         Arguments::Parse(words, {"name", "url", "api_key", "cacert"}, {"json"}));
  BATON_RETURN_IF_ERROR(RefusePositional(arguments));
  StatusOptions status;
  BATON_ASSIGN_OR_RETURN(status.name, ParseName(arguments));
  BATON_ASSIGN_OR_RETURN(status.server, ParseServer(arguments));
  status.json = arguments.Has("json");
  return status;
}

absl::StatusOr<StatusOptions> ParseStreams(Words words) {
  return ParseStatus(words);
}

absl::StatusOr<MigrateOptions> ParseMigrate(Words words) {
  BATON_ASSIGN_OR_RETURN(const Arguments arguments,
                         Arguments::Parse(words, {"name", "url", "api_key", "cacert"}, {}));
  if (arguments.positional().size() != 2)
    return absl::InvalidArgumentError("name a stream and the rank it shall go to: STREAM WORKER/RANK");
  MigrateOptions migrate{.stream = arguments.positional()[0], .to = arguments.positional()[1]};
  BATON_ASSIGN_OR_RETURN(migrate.name, ParseName(arguments));
  BATON_ASSIGN_OR_RETURN(migrate.server, ParseServer(arguments));
  return migrate;
}

absl::StatusOr<LogsOptions> ParseLogs(Words words) {
  BATON_ASSIGN_OR_RETURN(const Arguments arguments, Arguments::Parse(words, {"name", "n"}, {"f"}));
  if (arguments.positional().size() > 1)
    return absl::InvalidArgumentError("name one process, or none for all");
  LogsOptions logs;
  BATON_ASSIGN_OR_RETURN(logs.name, ParseName(arguments));
  BATON_ASSIGN_OR_RETURN(logs.lines, arguments.Number("n", 100, 1, 1000000));
  logs.follow = arguments.Has("f");
  if (!arguments.positional().empty()) logs.process = arguments.positional().front();
  return logs;
}

absl::StatusOr<ChatOptions> ParseChat(Words words) {
  BATON_ASSIGN_OR_RETURN(
      const Arguments arguments,
      Arguments::Parse(
          words, {"name", "url", "api_key", "cacert", "system", "max-tokens", "temperature", "seed"}, {}));
  ChatOptions chat;
  BATON_ASSIGN_OR_RETURN(chat.name, ParseName(arguments));
  BATON_ASSIGN_OR_RETURN(chat.max_tokens, arguments.Number("max-tokens", 512, 1, 1000000));
  BATON_ASSIGN_OR_RETURN(chat.temperature, arguments.Real("temperature"));
  if (arguments.Has("seed")) {
    BATON_ASSIGN_OR_RETURN(chat.seed, arguments.Number("seed", 0, 0, 2147483647));
  }
  BATON_ASSIGN_OR_RETURN(chat.server, ParseServer(arguments));
  chat.system = arguments.Text("system", "");
  std::vector<std::string> said = arguments.positional();
  said.insert(said.end(), arguments.passed_on().begin(), arguments.passed_on().end());
  chat.text = absl::StrJoin(said, " ");
  return chat;
}

}  // namespace baton::ctl
