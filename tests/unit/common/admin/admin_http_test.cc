#include "common/admin_http.h"

#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include <boost/asio/io_context.hpp>
#include <boost/asio/ip/tcp.hpp>
#include <boost/asio/read.hpp>
#include <boost/asio/write.hpp>

#include "absl/strings/str_cat.h"

namespace baton {
namespace {

namespace asio = boost::asio;
using asio::ip::tcp;
using testing::HasSubstr;
using testing::StartsWith;

AdminHandlers Handlers(absl::Status ready) {
  return {.healthy = [] { return absl::OkStatus(); },
          .ready = [ready] { return ready; },
          .metrics = [] { return std::string("baton_x 1\n"); }};
}

struct AdminHttp : testing::Test {
  AdminHttp() {
    auto started = AdminServer::Start({"127.0.0.1", 0}, Handlers(absl::UnavailableError("loading")));
    EXPECT_TRUE(started.ok()) << started.status();
    server = *std::move(started);
  }

  tcp::socket Connect() {
    tcp::socket socket(io);
    socket.connect({asio::ip::make_address("127.0.0.1"), server->address().port});
    return socket;
  }
  // All that the server answers to `bytes` until it closes the connection.
  std::string Exchange(const std::string& bytes) {
    tcp::socket socket = Connect();
    asio::write(socket, asio::buffer(bytes));
    std::string answer;
    boost::system::error_code error;
    asio::read(socket, asio::dynamic_buffer(answer), error);
    return answer;
  }
  std::string Get(const std::string& path) {
    return Exchange(absl::StrCat("GET ", path, " HTTP/1.1\r\nHost: x\r\nConnection: close\r\n\r\n"));
  }

  asio::io_context io;
  std::unique_ptr<AdminServer> server;
};

TEST_F(AdminHttp, TellsLoadingFromReady) {
  EXPECT_THAT(Get("/healthz"), StartsWith("HTTP/1.1 200"));
  EXPECT_THAT(Get("/readyz"), testing::AllOf(StartsWith("HTTP/1.1 503"), HasSubstr("loading")));
  server->SetHandlers(Handlers(absl::OkStatus()));
  EXPECT_THAT(Get("/readyz?verbose"), StartsWith("HTTP/1.1 200"));
  EXPECT_THAT(Get("/metrics"),
              testing::AllOf(HasSubstr("text/plain; version=0.0.4"), HasSubstr("baton_x 1")));
}

TEST_F(AdminHttp, RefusesWhatItDoesNotServe) {
  EXPECT_THAT(Get("/secret"), StartsWith("HTTP/1.1 404"));
  EXPECT_THAT(Exchange("DELETE /healthz HTTP/1.1\r\nConnection: close\r\n\r\n"), StartsWith("HTTP/1.1 405"));
  EXPECT_EQ(Exchange("not http at all\r\n\r\n"), "");
  EXPECT_EQ(Exchange("GET / HTTP/1.1\r\nX: " + std::string(20000, 'x') + "\r\n\r\n"), "");
  EXPECT_THAT(Get("/healthz"), StartsWith("HTTP/1.1 200"));
}

TEST_F(AdminHttp, ManySilentConnectionsDoNotTakeItDown) {
  std::vector<tcp::socket> silent;
  for (int i = 0; i < 63; ++i) silent.push_back(Connect());
  EXPECT_THAT(Get("/healthz"), StartsWith("HTTP/1.1 200"));
}

TEST_F(AdminHttp, AnAddressInUseIsAnError) {
  const auto second = AdminServer::Start(server->address(), Handlers(absl::OkStatus()));
  EXPECT_TRUE(absl::IsUnavailable(second.status()));
  EXPECT_THAT(std::string(second.status().message()), HasSubstr(server->address().ToString()));
}

}  // namespace
}  // namespace baton
