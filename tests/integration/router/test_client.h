#pragma once

// A plain blocking HTTP client for tests: raw bytes out, raw bytes in, with deadlines. Not thread-safe.

#include <cstdint>
#include <string>

#include "absl/strings/string_view.h"
#include "absl/time/time.h"

namespace baton::router::testing {

struct TestResponse {
  int status = 0;         // 0: no response
  std::string headers;    // lower case
  std::string body;       // chunks joined
  bool complete = false;  // the body's announced end was seen
  bool closed = false;    // the connection was closed by the server after it
};

class TestClient {
 public:
  explicit TestClient(uint16_t port, int receive_buffer = 0);
  ~TestClient();
  TestClient(const TestClient&) = delete;
  TestClient& operator=(const TestClient&) = delete;

  bool connected() const { return fd_ >= 0; }
  bool Send(absl::string_view bytes);
  TestResponse Receive(absl::Duration within = absl::Seconds(20));
  // Reads until the raw bytes contain `text`.
  bool ReceiveUntil(absl::string_view text, absl::Duration within = absl::Seconds(20));
  // What ReceiveUntil has read so far.
  const std::string& unread() const { return buffer_; }
  // True once the server has closed the connection; what it sends meanwhile is dropped.
  bool WaitForClose(absl::Duration within = absl::Seconds(20));
  void Close();

  TestResponse Get(const std::string& path);
  TestResponse Post(const std::string& path, const std::string& body, const std::string& headers = "");

 private:
  bool Fill(absl::Time until);
  int fd_ = -1;
  bool eof_ = false;
  std::string buffer_;
};

std::string PostBytes(const std::string& path, const std::string& body, const std::string& headers = "");

}  // namespace baton::router::testing
