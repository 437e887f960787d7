#include "common/admin_http.h"

#include <boost/asio/io_context.hpp>
#include <boost/asio/ip/tcp.hpp>
#include <boost/asio/steady_timer.hpp>
#include <boost/beast/core.hpp>
#include <boost/beast/http.hpp>
#include <optional>
#include <thread>

#include "absl/base/thread_annotations.h"
#include "absl/strings/str_cat.h"
#include "absl/synchronization/mutex.h"

namespace baton {
namespace {

namespace asio = boost::asio;
namespace beast = boost::beast;
namespace http = boost::beast::http;
using tcp = asio::ip::tcp;

constexpr int kMaxConnections = 64;
constexpr uint32_t kMaxHeaderBytes = 8 << 10;
constexpr std::chrono::seconds kConnectionTime{10};
constexpr std::chrono::milliseconds kAcceptPause{50};

// The handlers in force and the number of open connections.
struct Shared {
  absl::Mutex mutex;
  AdminHandlers handlers ABSL_GUARDED_BY(mutex);
  int connections = 0;  // touched by the server's thread only
};

http::response<http::string_body> Answer(Shared& shared, const http::request<http::empty_body>& request) {
  http::response<http::string_body> response(http::status::ok, request.version());
  response.set(http::field::content_type, "text/plain; charset=utf-8");
  response.keep_alive(request.keep_alive());
  const auto report = [&](const absl::Status& status) {
    if (!status.ok()) response.result(http::status::service_unavailable);
    response.body() = status.ok() ? "ok\n" : absl::StrCat(status.message(), "\n");
  };
  const std::string path(request.target().substr(0, request.target().find('?')));
  absl::MutexLock lock(&shared.mutex);
  if (request.method() != http::verb::get && request.method() != http::verb::head) {
    response.result(http::status::method_not_allowed);
    response.set(http::field::allow, "GET, HEAD");
  } else if (path == "/healthz") {
    report(shared.handlers.healthy());
  } else if (path == "/readyz") {
    report(shared.handlers.ready());
  } else if (path == "/metrics") {
    response.set(http::field::content_type, "text/plain; version=0.0.4; charset=utf-8");
    response.body() = shared.handlers.metrics();
  } else {
    response.result(http::status::not_found);
    response.body() = "not found; there are /healthz, /readyz and /metrics\n";
  }
  response.prepare_payload();
  if (request.method() == http::verb::head) response.body().clear();
  return response;
}

class Connection : public std::enable_shared_from_this<Connection> {
 public:
  Connection(tcp::socket socket, Shared* shared) : stream_(std::move(socket)), shared_(shared) {
    ++shared_->connections;
  }
  ~Connection() { --shared_->connections; }

  void Read() {
    parser_.emplace();
    parser_->header_limit(kMaxHeaderBytes);
    stream_.expires_after(kConnectionTime);
    http::async_read(stream_, buffer_, *parser_,
                     [self = shared_from_this()](beast::error_code error, size_t) {
                       if (!error) self->Write();
                     });
  }

 private:
  void Write() {
    response_ = Answer(*shared_, parser_->get());
    http::async_write(stream_, response_, [self = shared_from_this()](beast::error_code error, size_t) {
      if (error) return;
      if (self->response_.keep_alive()) return self->Read();
      self->stream_.socket().shutdown(tcp::socket::shutdown_send, error);
    });
  }

  beast::tcp_stream stream_;
  beast::flat_buffer buffer_{kMaxHeaderBytes};
  std::optional<http::request_parser<http::empty_body>> parser_;
  http::response<http::string_body> response_;
  Shared* shared_;
};

}  // namespace

struct AdminServer::Impl {
  Shared shared;
  asio::io_context io{1};
  tcp::acceptor acceptor{io};
  asio::steady_timer pause{io};
  HostPort address;
  std::thread thread;

  absl::Status Listen(const HostPort& listen) {
    beast::error_code error;
    tcp::resolver resolver(io);
    const auto found =
        resolver.resolve(listen.host, std::to_string(listen.port), tcp::resolver::passive, error);
    if (!error) acceptor.open(found.begin()->endpoint().protocol(), error);
    if (!error) acceptor.set_option(asio::socket_base::reuse_address(true), error);
    if (!error) acceptor.bind(found.begin()->endpoint(), error);
    if (!error) acceptor.listen(kMaxConnections, error);
    if (error) {
      return absl::UnavailableError(
          absl::StrCat("cannot listen on ", listen.ToString(), ": ", error.message()));
    }
    address = {listen.host, acceptor.local_endpoint().port()};
    return absl::OkStatus();
  }

  void Accept() {
    acceptor.async_accept([this](beast::error_code error, tcp::socket socket) {
      if (error == asio::error::operation_aborted) return;
      if (error) {
        pause.expires_after(kAcceptPause);
        return pause.async_wait([this](beast::error_code stopped) {
          if (!stopped) Accept();
        });
      }
      if (shared.connections < kMaxConnections)
        std::make_shared<Connection>(std::move(socket), &shared)->Read();
      Accept();
    });
  }
};

AdminServer::AdminServer(std::unique_ptr<Impl> impl) : impl_(std::move(impl)) {}

absl::StatusOr<std::unique_ptr<AdminServer>> AdminServer::Start(const HostPort& listen,
                                                                AdminHandlers handlers) {
  auto impl = std::make_unique<Impl>();
  {
    absl::MutexLock lock(&impl->shared.mutex);
    impl->shared.handlers = std::move(handlers);
  }
  if (absl::Status status = impl->Listen(listen); !status.ok()) return status;
  impl->Accept();
  impl->thread = std::thread([io = &impl->io] { io->run(); });
  return std::unique_ptr<AdminServer>(new AdminServer(std::move(impl)));
}

AdminServer::~AdminServer() {
  impl_->io.stop();
  impl_->thread.join();
}

const HostPort& AdminServer::address() const {
  return impl_->address;
}

void AdminServer::SetHandlers(AdminHandlers handlers) {
  absl::MutexLock lock(&impl_->shared.mutex);
  impl_->shared.handlers = std::move(handlers);
}

}  // namespace baton
