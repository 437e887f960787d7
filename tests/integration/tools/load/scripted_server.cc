#include "tests/integration/tools/load/scripted_server.h"

#include <arpa/inet.h>
#include <netinet/tcp.h>
#include <sys/socket.h>

#include <algorithm>
#include <cstdlib>

#include "absl/strings/match.h"
#include "absl/strings/str_cat.h"

namespace baton::load {
namespace {

std::string Chunk(const std::string& data) {
  return absl::StrCat(absl::Hex(data.size()), "\r\n", data, "\r\n");
}

int NewSocket() {
  return socket(AF_INET, SOCK_STREAM | SOCK_CLOEXEC, 0);
}

int BindAnyPort(int socket) {
  sockaddr_in address{};
  address.sin_family = AF_INET;
  address.sin_addr.s_addr = htonl(INADDR_LOOPBACK);
  socklen_t size = sizeof address;
  if (bind(socket, reinterpret_cast<sockaddr*>(&address), size) != 0 ||
      getsockname(socket, reinterpret_cast<sockaddr*>(&address), &size) != 0)
    abort();
  return ntohs(address.sin_port);
}

// A whole request; what came of it if the client went away.
std::string ReadRequest(int socket) {
  std::string request;
  char buffer[4096];
  while (true) {
    const size_t head = request.find("\r\n\r\n"), length = request.find("Content-Length: ");
    if (head != std::string::npos) {
      const size_t body =
          length == std::string::npos ? 0 : std::strtoul(request.c_str() + length + 16, nullptr, 10);
      if (request.size() >= head + 4 + body) return request;
    }
    const ssize_t got = recv(socket, buffer, sizeof buffer, 0);
    if (got <= 0) return request;
    request.append(buffer, static_cast<size_t>(got));
  }
}

}  // namespace

std::string GoodHead() {
  return "HTTP/1.1 200 OK\r\nContent-Type: text/event-stream\r\nTransfer-Encoding: chunked\r\n\r\n";
}

std::string TokenChunk(const std::string& text, int id, const std::string& finish) {
  return Chunk(absl::StrCat(
      R"(data: {"id":"s","choices":[{"delta":{"content":")", text, R"("},"finish_reason":)",
      finish.empty() ? "null" : absl::StrCat("\"", finish, "\""), R"(,"token_ids":[)", id, "]}]}\n\n"));
}

std::string GoodEnd(int tokens) {
  return Chunk(absl::StrCat(R"(data: {"choices":[],"usage":{"prompt_tokens":7,"completion_tokens":)", tokens,
                            "}}\n\ndata: [DONE]\n\n")) +
         "0\r\n\r\n";
}

DeafPort::DeafPort() : socket_(NewSocket()), port_(BindAnyPort(socket_.get())) {}

ScriptedServer::ScriptedServer(std::map<std::string, Script> scripts)
    : scripts_(std::move(scripts)), listener_(NewSocket()), port_(BindAnyPort(listener_.get())) {
  if (listen(listener_.get(), 128) != 0) abort();
  accepting_ = std::thread([this] { Accept(); });
}

ScriptedServer::~ScriptedServer() {
  shutdown(listener_.get(), SHUT_RDWR);
  accepting_.join();
  for (std::thread& thread : serving_) thread.join();
}

void ScriptedServer::Accept() {
  while (true) {
    const int connection = accept4(listener_.get(), nullptr, nullptr, SOCK_CLOEXEC);
    if (connection < 0) return;
    serving_.emplace_back([this, connection] { Serve(connection); });
  }
}

void ScriptedServer::Serve(int connection) {
  const FileDescriptor socket(connection);
  const int on = 1;
  setsockopt(socket.get(), IPPROTO_TCP, TCP_NODELAY, &on, sizeof on);
  {
    const std::lock_guard lock(mutex_);
    most_ = std::max(most_, ++open_);
  }
  const std::string request = ReadRequest(socket.get());
  const Script* script = nullptr;
  for (const auto& [user, one] : scripts_) {
    if (absl::StrContains(request, absl::StrCat("\"user\":\"", user, "\""))) script = &one;
  }
  {
    const std::lock_guard lock(mutex_);
    requests_.push_back(request);
  }
  if (script != nullptr) {
    for (const std::string& piece : script->pieces)
      send(socket.get(), piece.data(), piece.size(), MSG_NOSIGNAL);
    char rest[256];
    while (script->then == Script::Then::kHold && recv(socket.get(), rest, sizeof rest, 0) > 0) {
    }
  }
  const std::lock_guard lock(mutex_);
  --open_;
}

std::vector<std::string> ScriptedServer::requests() {
  const std::lock_guard lock(mutex_);
  return requests_;
}

size_t ScriptedServer::most_at_once() {
  const std::lock_guard lock(mutex_);
  return most_;
}

}  // namespace baton::load
