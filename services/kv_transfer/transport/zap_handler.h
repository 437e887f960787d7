#pragma once

// The authenticator of a ZeroMQ context (ZAP 1.0, RFC 27): every CURVE handshake of its servers asks here
// whether the client's key is let in. Polled by its owner, who must come round for handshakes to go on; one
// thread uses it. Until it is bound, and after it is gone, sockets that enforce their ZAP domain let nobody
// in.

#include <functional>
#include <memory>
#include <string>

#include "absl/status/statusor.h"
#include "absl/strings/string_view.h"

namespace baton {

class ZapHandler {
 public:
  // The only one of its context, which outlives it.
  static absl::StatusOr<ZapHandler> Bind(void* context);
  void* raw() const { return socket_.get(); }  // readable when someone asks

  // Answers at most `most` of those that wait; whether that was all. `user_of` is given the client's 32-byte
  // key and answers with the user that messages of its connection shall carry; empty: it is not let in.
  bool Serve(int most, const std::function<std::string(absl::string_view key)>& user_of);

 private:
  struct Closer {
    void operator()(void* socket) const;
  };
  explicit ZapHandler(void* socket) : socket_(socket) {}
  std::unique_ptr<void, Closer> socket_;
};

}  // namespace baton
