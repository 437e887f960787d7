#pragma once

// Certificates made for a test, as PEM files in a folder of its own, and a client that shows and checks them.

#include <cstdint>
#include <memory>
#include <string>

namespace baton::router::testing {

class TestAuthority {
 public:
  explicit TestAuthority(const std::string& name);
  ~TestAuthority();
  TestAuthority(const TestAuthority&) = delete;
  TestAuthority& operator=(const TestAuthority&) = delete;

  // Writes NAME.pem and NAME.key into `folder`, certified by this authority; replaces what is there.
  void Certify(const std::string& folder, const std::string& name) const;
  // Writes the authority's own certificate.
  void Write(const std::string& path) const;

 private:
  struct Impl;
  const std::unique_ptr<Impl> impl_;
};

struct TlsAnswer {
  bool connected = false;  // the handshake succeeded, as far as the client knows
  std::string subject;     // common name of the server's certificate
  std::string text;        // all that the server sent until it closed
};

// Sends `request`, which asks the server to close after its answer. Without `certificate` the client shows
// none. Waits no longer than ten seconds for anything.
TlsAnswer AskOverTls(uint16_t port, const std::string& request, const std::string& authority,
                     const std::string& certificate = "", const std::string& key = "");

}  // namespace baton::router::testing
