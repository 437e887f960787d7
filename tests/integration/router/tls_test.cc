// TLS in front of the router, and between it and workers.

#include <gmock/gmock.h>
#include <grpcpp/grpcpp.h>
#include <gtest/gtest.h>

#include <filesystem>

#include "absl/strings/str_cat.h"
#include "baton/worker.grpc.pb.h"
#include "common/grpc_tls.h"
#include "common/ids.h"
#include "tests/integration/router/router_fixture.h"
#include "tests/integration/router/test_certificates.h"

namespace baton::router::testing {
namespace {

using ::testing::HasSubstr;

class Tls : public RouterFixture {
 protected:
  Tls() : folder_(absl::StrCat(::testing::TempDir(), "/tls-", RandomId128().ToHex())) {
    std::filesystem::create_directory(folder_);
    ours_.Write(Path("ours.pem"));
    theirs_.Write(Path("theirs.pem"));
    ours_.Certify(folder_, "server");
    ours_.Certify(folder_, "client");
    theirs_.Certify(folder_, "stranger");
    config_.tls = {.certificate = Path("server.pem"), .key = Path("server.key")};
  }
  ~Tls() override { std::filesystem::remove_all(folder_); }

  std::string Path(const std::string& name) const { return absl::StrCat(folder_, "/", name); }
  // Without workers: only that it answers counts.
  void StartBare() {
    config_.discovery.workers = {"127.0.0.1:1"};
    auto router = Router::Start(config_, clock_);
    ASSERT_TRUE(router.ok()) << router.status();
    router_ = *std::move(router);
  }
  TlsAnswer Ask(const std::string& client = "") {
    return AskOverTls(port(), "GET /healthz HTTP/1.1\r\nHost: t\r\nConnection: close\r\n\r\n",
                      Path("ours.pem"), client.empty() ? "" : Path(client + ".pem"),
                      client.empty() ? "" : Path(client + ".key"));
  }

  const std::string folder_;
  const TestAuthority ours_{"ours"}, theirs_{"theirs"};
};

TEST_F(Tls, ServesAndRefusesPlainHttp) {
  StartBare();
  const TlsAnswer answer = Ask();
  EXPECT_THAT(answer.text, HasSubstr("200 OK"));
  EXPECT_EQ(answer.subject, "server");
  TestClient plain(port());
  plain.Send("GET /healthz HTTP/1.1\r\nHost: t\r\n\r\n");
  EXPECT_EQ(plain.Receive().status, 0);
  TestClient silent(port());
  EXPECT_THAT(Ask().text, HasSubstr("200 OK")) << "whoever does not shake hands holds nobody up";
}

TEST_F(Tls, HandshakesHaveADeadline) {
  config_.http.header_timeout = absl::Milliseconds(100);
  StartBare();
  TestClient silent(port());
  EXPECT_TRUE(silent.WaitForClose());
}

TEST_F(Tls, ClientsMustShowACertificateWhereAnAuthorityIsGiven) {
  config_.tls.client_authority = Path("ours.pem");
  StartBare();
  EXPECT_THAT(Ask("client").text, HasSubstr("200 OK"));
  EXPECT_EQ(Ask().text, "");
  EXPECT_EQ(Ask("stranger").text, "");
}

TEST_F(Tls, RenewedCertificatesAreShownAndBadOnesAreNot) {
  StartBare();
  ours_.Certify(folder_, "renewed");
  std::filesystem::rename(Path("renewed.key"), Path("server.key"));
  std::filesystem::rename(Path("renewed.pem"), Path("server.pem"));
  EXPECT_TRUE(Eventually([&] { return Ask().subject == "renewed"; }));
  std::filesystem::remove(Path("server.key"));
  EXPECT_EQ(Ask().subject, "renewed");
}

TEST_F(Tls, UnusableFilesAreNamedAtStart) {
  config_.tls.key = Path("client.key");
  config_.discovery.workers = {"127.0.0.1:1"};
  EXPECT_THAT(std::string(Router::Start(config_, clock_).status().message()), HasSubstr("client.key"));
}

class GrpcTls : public Tls {
 protected:
  GrpcTlsFiles Files(const std::string& name, const std::string& authority) const {
    return {Path(name + ".pem"), Path(name + ".key"), Path(authority + ".pem")};
  }
  void Serve(const GrpcTlsFiles& files) {
    grpc::ServerBuilder builder;
    builder.AddListeningPort("127.0.0.1:0", GrpcServerCredentials(files), &grpc_port_);
    builder.RegisterService(&service_);
    server_ = builder.BuildAndStart();
    ASSERT_NE(server_, nullptr);
  }
  // UNIMPLEMENTED: the call was let in.
  grpc::StatusCode Call(const GrpcTlsFiles& files) {
    grpc::ChannelArguments arguments;
    arguments.SetInt(GRPC_ARG_USE_LOCAL_SUBCHANNEL_POOL, 1);
    const auto stub = v1::Worker::NewStub(grpc::CreateCustomChannel(
        absl::StrCat("127.0.0.1:", grpc_port_), GrpcChannelCredentials(files), arguments));
    grpc::ClientContext context;
    context.set_deadline(std::chrono::system_clock::now() + std::chrono::seconds(5));
    v1::DrainResponse response;
    return stub->Drain(&context, {}, &response).error_code();
  }

  v1::Worker::Service service_;
  int grpc_port_ = 0;
  std::unique_ptr<grpc::Server> server_;
};

TEST_F(GrpcTls, OnlyMembersReachEachOther) {
  Serve(Files("server", "ours"));
  EXPECT_EQ(Call(Files("client", "ours")), grpc::StatusCode::UNIMPLEMENTED);
  EXPECT_EQ(Call(Files("stranger", "ours")), grpc::StatusCode::UNAVAILABLE) << "the server refuses";
  EXPECT_EQ(Call(Files("client", "theirs")), grpc::StatusCode::UNAVAILABLE) << "the client refuses";
  EXPECT_EQ(Call({}), grpc::StatusCode::UNAVAILABLE) << "without TLS";
}

TEST_F(GrpcTls, HalfOfTheFilesIsAMistake) {
  EXPECT_TRUE(CheckGrpcTls({}).ok());
  EXPECT_TRUE(CheckGrpcTls(Files("server", "ours")).ok());
  EXPECT_FALSE(CheckGrpcTls({.certificate = Path("server.pem")}).ok());
  EXPECT_FALSE(CheckGrpcTls(Files("nobody", "ours")).ok());
}

}  // namespace
}  // namespace baton::router::testing
