#include "services/router/http/server.h"

#include <atomic>
#include <boost/asio/executor_work_guard.hpp>
#include <boost/asio/io_context.hpp>
#include <boost/asio/strand.hpp>
#include <list>
#include <thread>
#include <vector>

#include "absl/base/thread_annotations.h"
#include "absl/strings/str_cat.h"
#include "absl/synchronization/mutex.h"
#include "services/router/http/connection.h"
#include "services/router/http/tls.h"

namespace baton::router {
namespace {
namespace asio = boost::asio;
constexpr auto kAcceptRetry = std::chrono::milliseconds(100);  // when out of file descriptors
}  // namespace

struct HttpServer::Impl {
  Impl(const HttpLimits& limits_in, HttpHandler& handler_in) : limits(limits_in), handler(handler_in) {}

  void Accept() {
    acceptor.async_accept(asio::make_strand(io),
                          [this](boost::system::error_code error, asio::ip::tcp::socket socket) {
                            if (stopping || error == asio::error::operation_aborted) return;
                            if (!error) {
                              Serve(std::move(socket));
                              return Accept();
                            }
                            retry.expires_after(kAcceptRetry);
                            retry.async_wait([this](boost::system::error_code) {
                              if (!stopping) Accept();
                            });
                          });
  }

  void Serve(asio::ip::tcp::socket socket) {
    const bool full = open.fetch_add(1) >= limits.max_connections && !OneGivesWay();
    auto context = tls == nullptr ? nullptr : tls->Current();
    auto connection = std::make_shared<Connection>(std::move(socket), std::move(context), limits, handler,
                                                   [this] { Ended(); });
    bool late = false;
    {
      absl::MutexLock lock(&mutex);
      if (connections.size() > 2 * open.load()) {
        connections.remove_if([](const std::weak_ptr<Connection>& weak) { return weak.expired(); });
      }
      late = stopping;  // then Stop may already have gone through the list
      if (!late) connections.push_back(connection);
    }
    if (late) return;
    if (full) {
      connection->Refuse();
    } else {
      connection->Start();
    }
  }

  // The one accepted first of those that wait for (the rest of) a request: a client that is slow on purpose
  // is soon among them, an honest one hardly ever, or idle.
  bool OneGivesWay() {
    std::vector<std::shared_ptr<Connection>> seen;  // none may end while the mutex is held
    absl::MutexLock lock(&mutex);
    for (auto it = connections.begin(); it != connections.end();) {
      const auto& connection = seen.emplace_back(it->lock());
      if (connection != nullptr && !connection->waits()) {
        ++it;
        continue;
      }
      it = connections.erase(it);
      if (connection == nullptr) continue;
      connection->Stop();
      return true;
    }
    return false;
  }

  void ForEach(const std::function<void(Connection&)>& act) {
    std::vector<std::shared_ptr<Connection>> alive;
    {
      absl::MutexLock lock(&mutex);
      for (const auto& weak : connections) alive.push_back(weak.lock());
    }
    for (const auto& connection : alive) {
      if (connection != nullptr) act(*connection);
    }
  }

  void AwaitNone(absl::Duration within) {
    if (within <= absl::ZeroDuration()) return;
    absl::MutexLock lock(&mutex);
    const auto none = [this] { return open.load() == 0; };
    mutex.AwaitWithTimeout(absl::Condition(&none), within);
  }

  // Under the mutex, so that Stop notices.
  void Ended() {
    absl::MutexLock lock(&mutex);
    open.fetch_sub(1);
  }

  const HttpLimits limits;
  HttpHandler& handler;
  std::unique_ptr<TlsContexts> tls;  // none: no TLS
  absl::Mutex mutex;                 // outlives the loop, whose last connections end with it
  std::list<std::weak_ptr<Connection>> connections ABSL_GUARDED_BY(mutex);
  std::atomic<uint32_t> open{0};
  std::atomic<bool> stopping{false};
  asio::io_context io;
  asio::executor_work_guard<asio::io_context::executor_type> work{io.get_executor()};
  asio::strand<asio::io_context::executor_type> accept_strand{asio::make_strand(io)};
  asio::ip::tcp::acceptor acceptor{accept_strand};
  asio::steady_timer retry{accept_strand};
  uint16_t port = 0;
  std::vector<std::thread> threads;
};

HttpServer::HttpServer(std::unique_ptr<Impl> impl) : impl_(std::move(impl)) {}
HttpServer::~HttpServer() {
  Stop(absl::ZeroDuration(), absl::ZeroDuration());
}
uint16_t HttpServer::port() const {
  return impl_->port;
}
uint32_t HttpServer::connections() const {
  return impl_->open.load();
}

absl::StatusOr<std::unique_ptr<HttpServer>> HttpServer::Start(const std::string& host, uint16_t port,
                                                              int threads, const HttpLimits& limits,
                                                              const TlsFiles& tls,
                                                              std::function<void(const absl::Status&)> warn,
                                                              HttpHandler& handler) {
  auto impl = std::make_unique<Impl>(limits, handler);
  if (!tls.empty()) {
    auto contexts = TlsContexts::Load(tls, std::move(warn));
    if (!contexts.ok()) return contexts.status();
    impl->tls = *std::move(contexts);
  }
  boost::system::error_code error;
  const auto address = asio::ip::make_address(host == "localhost" ? "127.0.0.1" : host, error);
  if (error) return absl::InvalidArgumentError(absl::StrCat("not an IP address to listen on: ", host));
  const asio::ip::tcp::endpoint endpoint(address, port);
  impl->acceptor.open(endpoint.protocol(), error);
  if (!error) impl->acceptor.set_option(asio::socket_base::reuse_address(true), error);
  if (!error) impl->acceptor.bind(endpoint, error);
  if (!error) impl->acceptor.listen(asio::socket_base::max_listen_connections, error);
  if (error)
    return absl::UnavailableError(absl::StrCat("cannot listen on ", host, ":", port, ": ", error.message()));
  impl->port = impl->acceptor.local_endpoint().port();
  asio::dispatch(impl->accept_strand, [raw = impl.get()] { raw->Accept(); });
  for (int i = 0; i < threads; ++i) impl->threads.emplace_back([raw = impl.get()] { raw->io.run(); });
  return std::unique_ptr<HttpServer>(new HttpServer(std::move(impl)));
}

void HttpServer::Stop(absl::Duration grace, absl::Duration last_words) {
  if (impl_->stopping.exchange(true)) return;
  asio::post(impl_->accept_strand, [raw = impl_.get()] {
    boost::system::error_code ignored;
    raw->acceptor.close(ignored);
    raw->retry.cancel();
  });
  impl_->ForEach([](Connection& connection) { connection.Retire(); });
  impl_->AwaitNone(grace);
  impl_->ForEach([](Connection& connection) { connection.Interrupt(); });
  impl_->AwaitNone(last_words);
  impl_->ForEach([](Connection& connection) { connection.Stop(); });
  impl_->work.reset();
  for (std::thread& thread : impl_->threads) thread.join();
}

}  // namespace baton::router
