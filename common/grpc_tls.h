#pragma once

// TLS between the processes of a cluster: both ends show a certificate, and take only those of the cluster's
// own authority (mTLS). Names are not checked, for workers are found by address: whoever has a certificate of
// that authority is of the cluster. Files in PEM, looked at again every few seconds while in use
// (grpc::experimental::FileWatcherCertificateProvider); new connections use the new ones.

#include <memory>
#include <string>

#include "absl/status/status.h"

namespace grpc {
class ChannelCredentials;
class ServerCredentials;
}  // namespace grpc

namespace baton {

struct GrpcTlsFiles {
  std::string certificate, key, authority;
  bool empty() const { return certificate.empty() && key.empty() && authority.empty(); }
};

// InvalidArgument if some are given and others not, or one cannot be read.
absl::Status CheckGrpcTls(const GrpcTlsFiles& files);

// Without files: no TLS.
std::shared_ptr<grpc::ServerCredentials> GrpcServerCredentials(const GrpcTlsFiles& files);
std::shared_ptr<grpc::ChannelCredentials> GrpcChannelCredentials(const GrpcTlsFiles& files);

}  // namespace baton
