#include "services/router/registry/discovery.h"

#include <netdb.h>
#include <sys/socket.h>

#include <algorithm>
#include <chrono>
#include <filesystem>
#include <fstream>
#include <sstream>
#include <thread>

#include "absl/base/thread_annotations.h"
#include "absl/strings/ascii.h"
#include "absl/strings/numbers.h"
#include "absl/strings/str_cat.h"
#include "absl/strings/str_split.h"
#include "absl/synchronization/mutex.h"

namespace baton::router {
namespace {

constexpr uintmax_t kMaxFileBytes = 1u << 20;
constexpr std::chrono::seconds kSettleTime(2);  // coarser than any file system's clock

bool SplitHostPort(absl::string_view text, std::string* host, std::string* port) {
  const size_t colon = text.rfind(':');
  int number = 0;
  if (colon == absl::string_view::npos || colon == 0 || !absl::SimpleAtoi(text.substr(colon + 1), &number))
    return false;
  if (number < 1 || number > 65535) return false;
  *host = std::string(text.substr(0, colon));
  *port = std::string(text.substr(colon + 1));
  if (host->size() > 2 && host->front() == '[' && host->back() == ']')
    *host = host->substr(1, host->size() - 2);
  return host->find_first_of(" \t/") == std::string::npos;
}

absl::StatusOr<std::vector<std::string>> ReadWorkersFile(const std::string& path) {
  std::error_code error;
  if (std::filesystem::file_size(path, error) > kMaxFileBytes || error) {
    return absl::NotFoundError(absl::StrCat("cannot read the workers file ", path));
  }
  std::ifstream file(path);
  std::stringstream text;
  text << file.rdbuf();
  if (!file) return absl::NotFoundError(absl::StrCat("cannot read the workers file ", path));
  return ParseWorkersFile(text.str());
}

}  // namespace

absl::Status CheckDiscovery(const DiscoveryConfig& config) {
  std::string host, port;
  for (const std::string& worker : config.workers) {
    if (!SplitHostPort(worker, &host, &port)) {
      return absl::InvalidArgumentError(absl::StrCat("worker '", worker, "' is not host:port"));
    }
  }
  if (!config.dns_name.empty() && !SplitHostPort(config.dns_name, &host, &port)) {
    return absl::InvalidArgumentError(absl::StrCat("DNS name '", config.dns_name, "' is not host:port"));
  }
  if (config.workers.empty() && config.file.empty() && config.dns_name.empty()) {
    return absl::InvalidArgumentError("no workers: give --worker, --workers_file or --workers_dns");
  }
  return absl::OkStatus();
}

absl::StatusOr<std::vector<std::string>> ParseWorkersFile(absl::string_view text) {
  std::vector<std::string> endpoints;
  int number = 0;
  for (absl::string_view line : absl::StrSplit(text, '\n')) {
    ++number;
    line = absl::StripAsciiWhitespace(line.substr(0, line.find('#')));
    if (line.empty()) continue;
    std::string host, port;
    if (!SplitHostPort(line, &host, &port)) {
      return absl::InvalidArgumentError(
          absl::StrCat("workers file, line ", number, ": not host:port: ", line));
    }
    endpoints.emplace_back(line);
  }
  return endpoints;
}

absl::StatusOr<std::vector<std::string>> ResolveWorkers(const std::string& host_port) {
  std::string host, port;
  if (!SplitHostPort(host_port, &host, &port)) {
    return absl::InvalidArgumentError(absl::StrCat("not host:port: ", host_port));
  }
  addrinfo hints{};
  hints.ai_socktype = SOCK_STREAM;
  addrinfo* list = nullptr;
  if (const int error = getaddrinfo(host.c_str(), port.c_str(), &hints, &list); error != 0) {
    return absl::UnavailableError(absl::StrCat("cannot resolve ", host, ": ", gai_strerror(error)));
  }
  const std::unique_ptr<addrinfo, decltype(&freeaddrinfo)> owner(list, &freeaddrinfo);
  std::vector<std::string> endpoints;
  for (const addrinfo* one = list; one != nullptr; one = one->ai_next) {
    char numeric[NI_MAXHOST];
    if (getnameinfo(one->ai_addr, one->ai_addrlen, numeric, sizeof(numeric), nullptr, 0, NI_NUMERICHOST) != 0)
      continue;
    endpoints.push_back(one->ai_family == AF_INET6 ? absl::StrCat("[", numeric, "]:", port)
                                                   : absl::StrCat(numeric, ":", port));
  }
  std::sort(endpoints.begin(), endpoints.end());
  endpoints.erase(std::unique(endpoints.begin(), endpoints.end()), endpoints.end());
  return endpoints;
}

struct Discovery::Impl {
  void PollFile() {
    if (config.file.empty()) return;
    std::error_code error;
    const auto written = std::filesystem::last_write_time(config.file, error);
    if (!error && read_once && written == last_written && settled) return;
    auto endpoints = ReadWorkersFile(config.file);
    if (!error) last_written = written;
    settled = std::filesystem::file_time_type::clock::now() - written > kSettleTime;
    if (endpoints.ok()) {
      from_file = *std::move(endpoints);
      file_failed = false;
    } else if (!std::exchange(file_failed, true)) {
      warn(endpoints.status());
    }
    read_once = true;
  }

  void PollDns() {
    if (config.dns_name.empty()) return;
    auto endpoints = ResolveWorkers(config.dns_name);
    if (endpoints.ok()) {
      from_dns = *std::move(endpoints);
      dns_failed = false;
    } else if (!std::exchange(dns_failed, true)) {
      warn(endpoints.status());
    }
  }

  void Publish() {
    std::vector<std::string> all = config.workers;
    all.insert(all.end(), from_file.begin(), from_file.end());
    all.insert(all.end(), from_dns.begin(), from_dns.end());
    std::sort(all.begin(), all.end());
    all.erase(std::unique(all.begin(), all.end()), all.end());
    if (all == published && published_once) return;
    published = all;
    published_once = true;
    found(all);
  }

  void Run() {
    absl::Duration since_dns;
    for (;;) {
      {
        absl::MutexLock lock(&mutex);
        if (mutex.AwaitWithTimeout(absl::Condition(&stopping), config.file_interval)) return;
      }
      PollFile();
      since_dns += config.file_interval;
      if (since_dns >= config.dns_interval) {
        since_dns = absl::ZeroDuration();
        PollDns();
      }
      Publish();
    }
  }

  DiscoveryConfig config;
  std::function<void(const std::vector<std::string>&)> found;
  std::function<void(const absl::Status&)> warn;
  std::vector<std::string> from_file, from_dns, published;
  std::filesystem::file_time_type last_written;
  bool read_once = false;
  bool settled = false;  // a later change would have another modification time
  bool published_once = false;
  bool file_failed = false;
  bool dns_failed = false;
  absl::Mutex mutex;
  bool stopping ABSL_GUARDED_BY(mutex) = false;
  std::thread thread;
};

Discovery::Discovery(const DiscoveryConfig& config,
                     std::function<void(const std::vector<std::string>&)> found,
                     std::function<void(const absl::Status&)> warn)
    : impl_(std::make_unique<Impl>()) {
  impl_->config = config;
  impl_->found = std::move(found);
  impl_->warn = std::move(warn);
  impl_->PollFile();
  impl_->PollDns();
  impl_->Publish();
  if (config.file.empty() && config.dns_name.empty()) return;
  impl_->thread = std::thread([impl = impl_.get()] { impl->Run(); });
}

Discovery::~Discovery() {
  {
    absl::MutexLock lock(&impl_->mutex);
    impl_->stopping = true;
  }
  if (impl_->thread.joinable()) impl_->thread.join();
}

}  // namespace baton::router
