#include "benchmarks/serve/fake_endpoint.h"

#include <pthread.h>
#include <time.h>

#include <algorithm>
#include <array>
#include <boost/asio/io_context.hpp>
#include <boost/asio/ip/tcp.hpp>
#include <boost/asio/post.hpp>
#include <boost/asio/steady_timer.hpp>
#include <boost/asio/write.hpp>
#include <cstring>
#include <queue>
#include <thread>

#include "absl/base/thread_annotations.h"
#include "absl/strings/match.h"
#include "absl/strings/numbers.h"
#include "absl/strings/str_cat.h"
#include "absl/synchronization/mutex.h"
#include "common/clock.h"

namespace baton::load {

namespace asio = boost::asio;
using asio::ip::tcp;
using boost::system::error_code;

namespace {

constexpr size_t kMostRequestBytes = 16 << 20;
constexpr char kHead[] =
    "HTTP/1.1 200 OK\r\nContent-Type: text/event-stream\r\nTransfer-Encoding: chunked\r\nConnection: "
    "close\r\n\r\n";
constexpr char kModels[] = R"({"object":"list","data":[{"id":"fake","object":"model"}]})";

// The number after `name` in a request, or `otherwise`.
int64_t NumberAfter(absl::string_view text, absl::string_view name, int64_t otherwise) {
  const size_t at = text.find(name);
  if (at == absl::string_view::npos) return otherwise;
  text.remove_prefix(at + name.size());
  text = text.substr(std::min(text.find_first_of("0123456789"), text.size()));
  int64_t number = otherwise;
  return absl::SimpleAtoi(text.substr(0, text.find_first_not_of("0123456789")), &number) ? number : otherwise;
}

std::string Chunk(absl::string_view data) {
  return absl::StrCat(absl::Hex(data.size()), "\r\n", data, "\r\n");
}

std::string TokenEvent(bool chat, bool last) {
  const char* finish = last ? "\"length\"" : "null";
  const std::string choice =
      chat ? absl::StrCat(R"({"index":0,"delta":{"content":" token"},"finish_reason":)", finish)
           : absl::StrCat(R"({"index":0,"text":" token","finish_reason":)", finish);
  return Chunk(
      absl::StrCat(R"(data: {"id":"fake-1","object":"chat.completion.chunk","created":1,"model":"fake",)",
                   R"("choices":[)", choice, "}]}\n\n"));
}

}  // namespace

class FakeEndpoint::Server {
 public:
  Server(const FakeSchedule& schedule, int port)
      : schedule_(schedule),
        acceptor_(io_, tcp::endpoint(asio::ip::address_v4::loopback(), port)),
        timer_(io_) {
    for (const bool chat : {false, true}) events_[chat] = {TokenEvent(chat, false), TokenEvent(chat, true)};
    acceptor_.non_blocking(true);
    Accept();
    thread_ = std::thread([this] { io_.run(); });
    pthread_getcpuclockid(thread_.native_handle(), &cpu_clock_);
  }
  ~Server() {
    io_.stop();
    thread_.join();
  }

  int port() const { return acceptor_.local_endpoint().port(); }
  Histogram TakeLag() {
    absl::MutexLock lock(&mutex_);
    return std::exchange(lag_, Histogram());
  }
  absl::Duration CpuTime() const {
    timespec used{};
    clock_gettime(cpu_clock_, &used);
    return absl::DurationFromTimespec(used);
  }

 private:
  struct Stream {
    explicit Stream(asio::io_context& io) : socket(io) {}
    tcp::socket socket;
    std::string request, out, sending;
    std::array<char, 8192> in;
    int64_t sent = 0, tokens = 0, prompt = 0;
    bool chat = false;
    MonoTime next;
  };
  using StreamPtr = std::shared_ptr<Stream>;
  struct Later {
    bool operator()(const StreamPtr& a, const StreamPtr& b) const { return a->next > b->next; }
  };

  void Accept() {
    const auto stream = std::make_shared<Stream>(io_);
    acceptor_.async_accept(stream->socket, [this, stream](error_code error) {
      if (!error) Take(stream);
      AcceptWaiting();
      if (acceptor_.is_open()) Accept();
    });
  }

  // Those that came at the same time: one a turn of the event loop would be too few.
  void AcceptWaiting() {
    error_code error;
    for (int taken = 0; taken < 256; ++taken) {
      const auto stream = std::make_shared<Stream>(io_);
      acceptor_.accept(stream->socket, error);
      if (error) return;
      Take(stream);
    }
  }

  void Take(const StreamPtr& stream) {
    error_code ignored;
    stream->socket.set_option(tcp::no_delay(true), ignored);
    Read(stream);
  }

  void Read(const StreamPtr& stream) {
    stream->socket.async_read_some(asio::buffer(stream->in), [this, stream](error_code error, size_t size) {
      if (error || stream->request.size() > kMostRequestBytes) return;
      stream->request.append(stream->in.data(), size);
      const size_t head = stream->request.find("\r\n\r\n");
      const auto length = static_cast<size_t>(NumberAfter(stream->request, "Content-Length:", 0));
      if (head == std::string::npos || stream->request.size() < head + 4 + length) return Read(stream);
      Answer(stream);
    });
  }

  void Answer(const StreamPtr& stream) {
    const absl::string_view request = stream->request;
    if (absl::StartsWith(request, "GET")) {
      stream->out = absl::StrCat("HTTP/1.1 200 OK\r\nContent-Type: application/json\r\nConnection: close\r\n",
                                 "Content-Length: ", strlen(kModels), "\r\n\r\n", kModels);
      return Write(stream);
    }
    stream->chat = absl::StrContains(request.substr(0, 100), "/chat/");
    stream->tokens = schedule_.tokens > 0 ? schedule_.tokens : NumberAfter(request, "\"max_tokens\":", 16);
    stream->prompt = static_cast<int64_t>(std::count(request.begin(), request.end(), ' '));
    stream->out = kHead;
    stream->next = SteadyClock().Now() + schedule_.ttft;
    due_.push(stream);
    Write(stream);
    if (due_.top() == stream) Arm();
  }

  void Arm() {
    if (due_.empty()) return;
    const auto at = absl::ToChronoNanoseconds(due_.top()->next - absl::UnixEpoch());
    timer_.expires_at(std::chrono::steady_clock::time_point(at));
    timer_.async_wait([this](error_code error) {
      if (!error) SendDue();
    });
  }

  void SendDue() {
    const MonoTime now = SteadyClock().Now();
    while (!due_.empty() && due_.top()->next <= now) {
      const StreamPtr stream = due_.top();
      due_.pop();
      if (!stream->socket.is_open()) continue;
      {
        absl::MutexLock lock(&mutex_);
        lag_.Add(now - stream->next);
      }
      const bool last = ++stream->sent >= stream->tokens;
      stream->out += events_[stream->chat][last];
      if (last) {
        stream->out += Chunk(absl::StrCat(R"(data: {"id":"fake-1","choices":[],"usage":{"prompt_tokens":)",
                                          stream->prompt, R"(,"completion_tokens":)", stream->tokens,
                                          "}}\n\ndata: [DONE]\n\n"));
        stream->out += "0\r\n\r\n";
      } else {
        stream->next += schedule_.itl;
        due_.push(stream);
      }
      Write(stream);
    }
    Arm();
  }

  // One write at a time; what is added meanwhile goes with the next.
  void Write(const StreamPtr& stream) {
    if (!stream->sending.empty() || stream->out.empty()) return;
    stream->sending.swap(stream->out);
    asio::async_write(stream->socket, asio::buffer(stream->sending),
                      [this, stream](error_code error, size_t) {
                        stream->sending.clear();
                        error_code ignored;
                        if (error) {
                          stream->socket.close(ignored);
                        } else if (stream->out.empty() && stream->sent >= stream->tokens) {
                          stream->socket.shutdown(tcp::socket::shutdown_send, ignored);
                        } else {
                          Write(stream);
                        }
                      });
  }

  FakeSchedule schedule_;
  asio::io_context io_{1};
  tcp::acceptor acceptor_;
  asio::steady_timer timer_;
  std::array<std::array<std::string, 2>, 2> events_;  // [chat][last]
  std::priority_queue<StreamPtr, std::vector<StreamPtr>, Later> due_;
  absl::Mutex mutex_;
  Histogram lag_ ABSL_GUARDED_BY(mutex_);
  std::thread thread_;
  clockid_t cpu_clock_{};
};

FakeEndpoint::FakeEndpoint(std::unique_ptr<Server> server) : server_(std::move(server)) {}
FakeEndpoint::~FakeEndpoint() = default;
int FakeEndpoint::port() const {
  return server_->port();
}
Histogram FakeEndpoint::TakeLag() {
  return server_->TakeLag();
}
absl::Duration FakeEndpoint::CpuTime() const {
  return server_->CpuTime();
}

absl::StatusOr<std::unique_ptr<FakeEndpoint>> FakeEndpoint::Start(const FakeSchedule& schedule, int port) {
  try {
    return std::unique_ptr<FakeEndpoint>(new FakeEndpoint(std::make_unique<Server>(schedule, port)));
  } catch (const boost::system::system_error& error) {
    return absl::UnavailableError(absl::StrCat("cannot listen on port ", port, ": ", error.what()));
  }
}

}  // namespace baton::load
