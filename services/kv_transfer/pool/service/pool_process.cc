#include "services/kv_transfer/pool/service/pool_process.h"

#include <signal.h>
#include <sodium.h>
#include <spdlog/spdlog.h>
#include <unistd.h>

#include <cstdio>
#include <cstdlib>
#include <fstream>

#include "absl/strings/match.h"
#include "absl/strings/str_cat.h"
#include "absl/strings/str_format.h"
#include "common/admin_http.h"
#include "common/log.h"
#include "common/status_macros.h"
#include "services/kv_transfer/pool/service/pool_metrics.h"
#include "services/kv_transfer/pool/service/pool_server.h"
#include "services/kv_transfer/transport/fast_wire.h"

namespace baton::pool {
namespace {

constexpr int kLookEverySeconds = 1;

// Signals that end the process, blocked in every thread that is started after this.
class StopSignals {
 public:
  StopSignals() {
    sigemptyset(&set_);
    sigaddset(&set_, SIGTERM);
    sigaddset(&set_, SIGINT);
    pthread_sigmask(SIG_BLOCK, &set_, nullptr);
  }
  bool WaitASecond() const {
    const timespec longest{.tv_sec = kLookEverySeconds, .tv_nsec = 0};
    return sigtimedwait(&set_, nullptr, &longest) > 0;
  }

 private:
  sigset_t set_;
};

absl::Status WriteAddresses(const std::string& path, const std::string& text) {
  if (path.empty()) return absl::OkStatus();
  const std::string fresh = absl::StrCat(path, ".new");
  std::ofstream out(fresh, std::ios::trunc);
  out << text;
  out.close();
  if (out && std::rename(fresh.c_str(), path.c_str()) == 0) return absl::OkStatus();
  return absl::UnavailableError(absl::StrCat("cannot write --address_file=", path));
}

absl::StatusOr<FastWireOptions> WireOptions(const PoolSettings& settings) {
  FastWireOptions wire{.min_gbps = settings.kv_min_gbps};
  BATON_ASSIGN_OR_RETURN(wire.choice, ParseWireChoice(settings.kv_wire));
  if (sodium_init() < 0) return absl::InternalError("libsodium cannot be initialised");
  ZmqOptions& options = wire.zmq;
  options.bind = settings.kv_listen;
  options.advertise_host = settings.advertise_host;
  if (settings.kv_key.empty() != settings.kv_allowed_keys.empty())
    return absl::InvalidArgumentError("--kv_key and --kv_allowed_keys go together (./baton keys --help)");
  options.key_file = settings.kv_key;
  options.allowed_keys_file = settings.kv_allowed_keys;
  if (!settings.kv_curve && !settings.kv_key.empty())
    return absl::InvalidArgumentError("--kv_key needs --kv_curve");
  if (!settings.kv_curve) return wire;
  options.curve_public_key.assign(crypto_box_PUBLICKEYBYTES, '\0');
  options.curve_secret_key.assign(crypto_box_SECRETKEYBYTES, '\0');
  crypto_box_keypair(reinterpret_cast<unsigned char*>(options.curve_public_key.data()),
                     reinterpret_cast<unsigned char*>(options.curve_secret_key.data()));
  return wire;
}

// A disk tier that cannot be opened at the start is a mistake in the settings.
absl::StatusOr<std::unique_ptr<DiskFolder>> OpenDisk(const PoolSettings& settings) {
  if (settings.disk_dir.empty()) return std::unique_ptr<DiskFolder>();
  if (settings.disk_mb <= 0) return absl::InvalidArgumentError("--disk_dir needs a size: --disk_mb");
  return OpenFolder(settings.disk_dir);
}

absl::Status Health(const PoolHost& host) {
  const std::shared_ptr<PoolNode> node = host.node();
  return node == nullptr ? absl::OkStatus() : node->Health();
}

absl::Status Serve(const PoolSettings& settings) {
  if (settings.memory_mb < 1 || settings.memory_mb > int64_t{1} << 24)
    return absl::InvalidArgumentError("--memory_mb must be in [1, 16777216]");
  BATON_ASSIGN_OR_RETURN(const HostPort http, ParseHostPort(settings.http_listen));
  const bool socket = absl::StartsWith(settings.grpc_listen, "unix:");
  if (!socket) BATON_RETURN_IF_ERROR(ParseHostPort(settings.grpc_listen).status());
  BATON_RETURN_IF_ERROR(SetUpLogging("baton-kv", settings.log_level));
  BATON_ASSIGN_OR_RETURN(const FastWireOptions wire, WireOptions(settings));
  BATON_ASSIGN_OR_RETURN(std::unique_ptr<DiskFolder> folder, OpenDisk(settings));
  const StopSignals signals;
  const SteadyClock clock;
  // A name is worth something only together with a key.
  const std::string name = settings.kv_key.empty() ? "" : settings.name;
  PoolNodeOptions options{.memory_bytes = static_cast<uint64_t>(settings.memory_mb) << 20,
                          .disk_bytes = static_cast<uint64_t>(settings.disk_mb) << 20,
                          .handoff = {.name = name}};
  const WireMaker make_wire = [wire, &clock](const SharedMemory& pages) {
    FastWireOptions with_pages = wire;
    with_pages.shared = {&pages};
    return NewFastWire(with_pages, &clock);
  };
  PoolHost host(options, make_wire, std::move(folder), &clock);
  BATON_ASSIGN_OR_RETURN(const std::unique_ptr<PoolServer> server,
                         PoolServer::Start({.listen = settings.grpc_listen}, &host));
  Metrics metrics;
  metrics.AddCollector([&host](MetricSnapshot& out) {
    if (const auto node = host.node()) CollectPoolMetrics(*node, out);
  });
  BATON_ASSIGN_OR_RETURN(const std::unique_ptr<AdminServer> admin,
                         AdminServer::Start(http, {.healthy = [&host] { return Health(host); },
                                                   .ready = [&host] { return Health(host); },
                                                   .metrics = [&metrics] { return metrics.Text(); }}));
  const auto reachable = [&](const std::string& address) {
    return absl::StartsWith(address, "unix:") ? address : WithHost(address, settings.advertise_host);
  };
  BATON_RETURN_IF_ERROR(
      WriteAddresses(settings.address_file,
                     absl::StrFormat(R"({"name": "%s", "role": "kv", "grpc": "%s", "http": "%s", "pid": %d})"
                                     "\n",
                                     settings.name, reachable(server->address()),
                                     reachable(admin->address().ToString()), getpid())));
  spdlog::info("ready: grpc {} http {}, {} MiB of memory, {} MiB of disk", server->address(),
               admin->address().ToString(), settings.memory_mb, settings.disk_mb);
  while (!signals.WaitASecond()) {
    const absl::Status health = Health(host);
    if (health.ok()) continue;
    spdlog::critical("this process must restart: {}", std::string(health.message()));
    spdlog::default_logger()->flush();
    std::_Exit(1);
  }
  spdlog::info("stopping");
  if (!settings.address_file.empty()) unlink(settings.address_file.c_str());
  return absl::OkStatus();
}

}  // namespace

int RunPool(const PoolSettings& settings) {
  const absl::Status status = Serve(settings);
  if (status.ok()) return 0;
  absl::FPrintF(stderr, "baton-kv: %s\n", status.message());
  return 1;
}

}  // namespace baton::pool
