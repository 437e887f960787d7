#pragma once

// absl::Status to gRPC's; the codes are the same numbers
// (https://grpc.github.io/grpc/core/md_doc_statuscodes.html).

#include <grpcpp/support/status.h>

#include <string>

#include "absl/status/status.h"

namespace baton {

inline grpc::Status ToGrpc(const absl::Status& status) {
  return {static_cast<grpc::StatusCode>(status.code()), std::string(status.message())};
}

}  // namespace baton
