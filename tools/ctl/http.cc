#include "tools/ctl/http.h"

#include <array>
#include <boost/asio/connect.hpp>
#include <boost/asio/io_context.hpp>
#include <boost/asio/ip/tcp.hpp>
#include <boost/asio/ssl.hpp>
#include <boost/beast/core.hpp>
#include <boost/beast/http.hpp>
#include <optional>

#include "absl/strings/match.h"
#include "absl/strings/str_cat.h"
#include "common/status_macros.h"

namespace baton::ctl {
namespace {

namespace asio = boost::asio;
namespace beast = boost::beast;
namespace http = boost::beast::http;
namespace ssl = boost::asio::ssl;

constexpr std::chrono::milliseconds kLook(50);

std::string Where(const Url& url) {
  return absl::StrCat(url.host, ":", url.port);
}

absl::Status Trust(const std::string& cacert, ssl::context* context) {
  beast::error_code error;
  if (cacert.empty()) {
    context->set_default_verify_paths(error);
  } else {
    context->load_verify_file(cacert, error);
  }
  if (!error) return absl::OkStatus();
  return absl::InvalidArgumentError(absl::StrCat(
      "no certificates could be read from ", cacert.empty() ? "the system" : cacert, ": ", error.message()));
}

// One connection whose asynchronous calls, which alone know deadlines, are run to their end one by one.
class Connection {
 public:
  explicit Connection(const HttpRequest& request)
      : timeout_(absl::ToChronoMilliseconds(request.timeout)), given_up_(request.given_up) {}

  absl::Status Connect(const Url& url, const std::string& cacert) {
    BATON_RETURN_IF_ERROR(ConnectPlain(url));
    if (!url.tls) return absl::OkStatus();
    BATON_RETURN_IF_ERROR(Trust(cacert, &context_));
    tls_.emplace(stream_, context_);
    tls_->set_verify_mode(ssl::verify_peer);
    SSL* handle = tls_->native_handle();
    if (X509_VERIFY_PARAM_set1_ip_asc(SSL_get0_param(handle), url.host.c_str()) != 1) {
      SSL_set1_host(handle, url.host.c_str());
      SSL_set_tlsext_host_name(handle, url.host.c_str());
    }
    const beast::error_code error = Await([&](auto done) {
      tls_->async_handshake(ssl::stream_base::client, [done](beast::error_code e) { done(e); });
    });
    return error ? HandshakeFailure(url, error) : absl::OkStatus();
  }

  template <typename Message>
  absl::Status Write(Message& message) {
    return ToStatus(Await([&](auto done) {
                      With([&](auto& stream) {
                        http::async_write(stream, message, [done](beast::error_code e, size_t) { done(e); });
                      });
                    }),
                    "sending the request");
  }

  template <typename Parser>
  absl::Status ReadHeader(Parser& parser) {
    const beast::error_code error = Await([&](auto done) {
      With([&](auto& stream) {
        http::async_read_header(stream, buffer_, parser, [done](beast::error_code e, size_t) { done(e); });
      });
    });
    const bool shut = error == http::error::end_of_stream || error == asio::error::connection_reset;
    return ToStatus(error, shut && !tls_ ? "waiting for the answer (does it want https://?)"
                           : shut        ? "waiting for the answer (does it want a client's certificate?)"
                                         : "waiting for the answer");
  }

  template <typename Parser>
  absl::Status ReadSome(Parser& parser) {
    const beast::error_code error = Await([&](auto done) {
      With([&](auto& stream) {
        http::async_read_some(stream, buffer_, parser, [done](beast::error_code e, size_t) { done(e); });
      });
    });
    return error == http::error::need_buffer ? absl::OkStatus() : ToStatus(error, "reading the answer");
  }

 private:
  absl::Status ConnectPlain(const Url& url) {
    asio::ip::tcp::resolver resolver(io_);
    beast::error_code error;
    const auto endpoints = resolver.resolve(url.host, url.port, error);
    if (error) return absl::UnavailableError(absl::StrCat("cannot find ", url.host, ": ", error.message()));
    error = Await([&](auto done) {
      stream_.async_connect(endpoints, [done](beast::error_code e, const auto&) { done(e); });
    });
    return ToStatus(error, absl::StrCat("nobody answers at ", Where(url)));
  }

  absl::Status HandshakeFailure(const Url& url, beast::error_code error) {
    if (error.category() != asio::error::get_ssl_category())
      return ToStatus(error, absl::StrCat("TLS with ", Where(url)));
    if (const long why = SSL_get_verify_result(tls_->native_handle()); why != X509_V_OK) {
      return absl::FailedPreconditionError(absl::StrCat(
          "the certificate of ", Where(url), " is not to be trusted: ", X509_verify_cert_error_string(why),
          " (--cacert FILE names its authority)"));
    }
    return absl::FailedPreconditionError(
        absl::StrCat("no TLS with ", Where(url), ": ", error.message(), " (is it plain http://?)"));
  }

  template <typename Operation>
  void With(Operation operation) {
    if (tls_) {
      operation(*tls_);
    } else {
      operation(stream_);
    }
  }

  template <typename Operation>
  beast::error_code Await(Operation operation) {
    beast::error_code result = beast::error::timeout;
    stream_.expires_after(timeout_);
    operation([&result](beast::error_code error) { result = error; });
    io_.restart();
    while (io_.run_for(kLook), !io_.stopped()) {
      if (given_up_ != nullptr && given_up_()) stream_.cancel();
    }
    return result;
  }

  static absl::Status ToStatus(beast::error_code error, const std::string& doing) {
    if (error == asio::error::operation_aborted) return absl::CancelledError(doing);
    if (!error) return absl::OkStatus();
    const std::string text = absl::StrCat(doing, ": ", error.message());
    return error == beast::error::timeout ? absl::DeadlineExceededError(text) : absl::UnavailableError(text);
  }

  asio::io_context io_;
  ssl::context context_{ssl::context::tls_client};
  beast::tcp_stream stream_{io_};
  std::optional<ssl::stream<beast::tcp_stream&>> tls_;  // over stream_; only for https
  beast::flat_buffer buffer_;
  std::chrono::milliseconds timeout_;
  std::function<bool()> given_up_;
};

http::request<http::string_body> ToMessage(const HttpRequest& request, const Url& url) {
  http::request<http::string_body> message(request.body.empty() ? http::verb::get : http::verb::post,
                                           url.path, 11);
  message.set(http::field::host, Where(url));
  if (!request.api_key.empty()) message.set(http::field::authorization, "Bearer " + request.api_key);
  message.set(http::field::connection, "close");
  if (!request.body.empty()) message.set(http::field::content_type, "application/json");
  message.body() = request.body;
  message.prepare_payload();
  return message;
}

}  // namespace

absl::StatusOr<Url> ParseUrl(const std::string& text) {
  const bool tls = absl::StartsWith(text, "https://");
  const std::string rest = tls ? text.substr(8) : absl::StartsWith(text, "http://") ? text.substr(7) : text;
  const size_t slash = rest.find('/');
  const std::string authority = rest.substr(0, slash);
  const size_t colon = authority.rfind(':');
  Url url{authority.substr(0, colon),
          colon == std::string::npos ? (tls ? "443" : "80") : authority.substr(colon + 1),
          slash == std::string::npos ? "/" : rest.substr(slash), tls};
  const bool digits = !url.port.empty() && url.port.find_first_not_of("0123456789") == std::string::npos;
  if (url.host.empty() || !digits || rest.find_first_of(" \r\n") != std::string::npos) {
    return absl::InvalidArgumentError(
        absl::StrCat("not a URL: '", text, "' (for instance http://127.0.0.1:8000)"));
  }
  if (url.host.size() > 2 && url.host.front() == '[' && url.host.back() == ']') {
    url.host = url.host.substr(1, url.host.size() - 2);
  }
  return url;
}

absl::StatusOr<HttpResponse> FetchStream(const HttpRequest& request,
                                         const std::function<bool(absl::string_view)>& on_data) {
  BATON_ASSIGN_OR_RETURN(const Url url, ParseUrl(request.url));
  Connection connection(request);
  BATON_RETURN_IF_ERROR(connection.Connect(url, request.cacert));
  auto message = ToMessage(request, url);
  BATON_RETURN_IF_ERROR(connection.Write(message));
  http::response_parser<http::buffer_body> parser;
  parser.body_limit(boost::none);
  BATON_RETURN_IF_ERROR(connection.ReadHeader(parser));
  HttpResponse response{static_cast<int>(parser.get().result_int()), ""};
  std::array<char, 8192> piece;
  while (!parser.is_done()) {
    parser.get().body().data = piece.data();
    parser.get().body().size = piece.size();
    BATON_RETURN_IF_ERROR(connection.ReadSome(parser));
    const absl::string_view data(piece.data(), piece.size() - parser.get().body().size);
    if (response.code != 200) {
      response.body.append(data.data(), data.size());
    } else if (!data.empty() && !on_data(data)) {
      break;
    }
  }
  return response;
}

absl::StatusOr<HttpResponse> Fetch(const HttpRequest& request) {
  constexpr size_t kMostBytes = 64 << 20;
  std::string body;
  BATON_ASSIGN_OR_RETURN(HttpResponse response, FetchStream(request, [&body](absl::string_view data) {
                           body.append(data.data(), data.size());
                           return body.size() < kMostBytes;
                         }));
  if (response.code == 200) response.body = std::move(body);
  return response;
}

}  // namespace baton::ctl
