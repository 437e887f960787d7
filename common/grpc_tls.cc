#include "common/grpc_tls.h"

#include <grpcpp/security/credentials.h>
#include <grpcpp/security/server_credentials.h>
#include <grpcpp/security/tls_certificate_provider.h>
#include <grpcpp/security/tls_certificate_verifier.h>
#include <grpcpp/security/tls_credentials_options.h>
#include <unistd.h>

#include "absl/strings/str_cat.h"

namespace baton {
namespace {

namespace tls = grpc::experimental;
constexpr unsigned kLookEvery_s = 5;

std::shared_ptr<tls::CertificateProviderInterface> Provider(const GrpcTlsFiles& files) {
  return std::make_shared<tls::FileWatcherCertificateProvider>(files.key, files.certificate, files.authority,
                                                               kLookEvery_s);
}

}  // namespace

absl::Status CheckGrpcTls(const GrpcTlsFiles& files) {
  if (files.empty()) return absl::OkStatus();
  for (const std::string& path : {files.certificate, files.key, files.authority}) {
    if (path.empty())
      return absl::InvalidArgumentError("--grpc_tls_cert, --grpc_tls_key and --grpc_tls_ca go together");
    if (access(path.c_str(), R_OK) != 0)
      return absl::InvalidArgumentError(absl::StrCat("cannot read ", path));
  }
  return absl::OkStatus();
}

std::shared_ptr<grpc::ServerCredentials> GrpcServerCredentials(const GrpcTlsFiles& files) {
  if (files.empty()) return grpc::InsecureServerCredentials();
  tls::TlsServerCredentialsOptions options(Provider(files));
  options.watch_root_certs();
  options.watch_identity_key_cert_pairs();
  options.set_cert_request_type(GRPC_SSL_REQUEST_AND_REQUIRE_CLIENT_CERTIFICATE_AND_VERIFY);
  return tls::TlsServerCredentials(options);
}

std::shared_ptr<grpc::ChannelCredentials> GrpcChannelCredentials(const GrpcTlsFiles& files) {
  if (files.empty()) return grpc::InsecureChannelCredentials();
  tls::TlsChannelCredentialsOptions options;
  options.set_certificate_provider(Provider(files));
  options.watch_root_certs();
  options.watch_identity_key_cert_pairs();
  options.set_verify_server_certs(true);
  options.set_check_call_host(false);
  options.set_certificate_verifier(std::make_shared<tls::NoOpCertificateVerifier>());
  return tls::TlsCredentials(options);
}

}  // namespace baton
