#include "tests/integration/router/test_client.h"

#include <arpa/inet.h>
#include <netinet/in.h>
#include <poll.h>
#include <sys/socket.h>
#include <unistd.h>

#include <algorithm>

#include "absl/strings/ascii.h"
#include "absl/strings/numbers.h"
#include "absl/strings/str_cat.h"
#include "absl/time/clock.h"

namespace baton::router::testing {

TestClient::TestClient(uint16_t port, int receive_buffer) {
  fd_ = socket(AF_INET, SOCK_STREAM | SOCK_CLOEXEC, 0);
  if (receive_buffer > 0) setsockopt(fd_, SOL_SOCKET, SO_RCVBUF, &receive_buffer, sizeof(receive_buffer));
  sockaddr_in address{};
  address.sin_family = AF_INET;
  address.sin_port = htons(port);
  address.sin_addr.s_addr = htonl(INADDR_LOOPBACK);
  if (connect(fd_, reinterpret_cast<sockaddr*>(&address), sizeof(address)) != 0) Close();
}

TestClient::~TestClient() {
  Close();
}

void TestClient::Close() {
  if (fd_ >= 0) close(fd_);
  fd_ = -1;
}

bool TestClient::Send(absl::string_view bytes) {
  while (!bytes.empty()) {
    const ssize_t sent = send(fd_, bytes.data(), bytes.size(), MSG_NOSIGNAL);
    if (sent <= 0) return false;
    bytes.remove_prefix(static_cast<size_t>(sent));
  }
  return true;
}

bool TestClient::Fill(absl::Time until) {
  const int64_t left = absl::ToInt64Milliseconds(until - absl::Now());
  pollfd poll_fd{.fd = fd_, .events = POLLIN, .revents = 0};
  if (fd_ < 0 || eof_ || left <= 0 || poll(&poll_fd, 1, static_cast<int>(left)) <= 0) return false;
  char bytes[16384];
  const ssize_t got = recv(fd_, bytes, sizeof(bytes), 0);
  if (got <= 0) {
    eof_ = true;
    return false;
  }
  buffer_.append(bytes, static_cast<size_t>(got));
  return true;
}

bool TestClient::ReceiveUntil(absl::string_view text, absl::Duration within) {
  const absl::Time until = absl::Now() + within;
  while (buffer_.find(std::string(text)) == std::string::npos) {
    if (!Fill(until)) return false;
  }
  return true;
}

bool TestClient::WaitForClose(absl::Duration within) {
  const absl::Time until = absl::Now() + within;
  while (Fill(until)) buffer_.clear();
  return eof_;
}

TestResponse TestClient::Receive(absl::Duration within) {
  const absl::Time until = absl::Now() + within;
  TestResponse response;
  size_t end = 0;
  while ((end = buffer_.find("\r\n\r\n")) == std::string::npos) {
    if (!Fill(until)) return response;
  }
  response.headers = absl::AsciiStrToLower(buffer_.substr(0, end + 2));
  buffer_.erase(0, end + 4);
  if (!absl::SimpleAtoi(response.headers.substr(9, 3), &response.status)) return response;
  if (response.headers.find("transfer-encoding: chunked") != std::string::npos) {
    for (;;) {
      size_t line = 0;
      while ((line = buffer_.find("\r\n")) == std::string::npos) {
        if (!Fill(until)) {
          response.closed = eof_;
          return response;
        }
      }
      const size_t size = std::strtoul(buffer_.c_str(), nullptr, 16);
      while (buffer_.size() < line + 2 + size + 2) {
        if (!Fill(until)) {
          response.closed = eof_;
          return response;
        }
      }
      response.body += buffer_.substr(line + 2, size);
      buffer_.erase(0, line + 2 + size + 2);
      if (size == 0) break;
    }
  } else {
    size_t length = 0;
    const size_t at = response.headers.find("content-length: ");
    if (at != std::string::npos) length = std::strtoul(response.headers.c_str() + at + 16, nullptr, 10);
    while (buffer_.size() < length && Fill(until)) {
    }
    if (buffer_.size() < length) return response;
    response.body = buffer_.substr(0, length);
    buffer_.erase(0, length);
  }
  response.complete = true;
  return response;
}

std::string PostBytes(const std::string& path, const std::string& body, const std::string& headers) {
  return absl::StrCat("POST ", path,
                      " HTTP/1.1\r\nHost: t\r\nContent-Type: application/json\r\nContent-Length: ",
                      body.size(), "\r\n", headers, "\r\n", body);
}

TestResponse TestClient::Get(const std::string& path) {
  Send(absl::StrCat("GET ", path, " HTTP/1.1\r\nHost: t\r\n\r\n"));
  return Receive();
}

TestResponse TestClient::Post(const std::string& path, const std::string& body, const std::string& headers) {
  Send(PostBytes(path, body, headers));
  return Receive();
}

}  // namespace baton::router::testing
