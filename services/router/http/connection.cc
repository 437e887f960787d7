#include "services/router/http/connection.h"

#include <boost/asio/dispatch.hpp>
#include <boost/asio/post.hpp>
#include <boost/asio/write.hpp>
#include <boost/beast/http/error.hpp>
#include <boost/beast/http/read.hpp>
#include <utility>

#include "services/router/http/wire.h"

namespace baton::router {
namespace {

namespace asio = boost::asio;
namespace http = boost::beast::http;

constexpr absl::Duration kLingerTime = absl::Seconds(2);
constexpr uint64_t kMaxDiscardedBytes = 64u << 20;

// Anything else would leave it to each hop where the body ends.
bool OnlyChunked(const http::fields& fields) {
  const auto codings = fields.count(http::field::transfer_encoding);
  return codings == 0 ||
         (codings == 1 && boost::beast::iequals(fields[http::field::transfer_encoding], "chunked"));
}

class Exchange final : public HttpExchange {
 public:
  Exchange(std::shared_ptr<Connection> connection, uint64_t number)
      : connection_(std::move(connection)), number_(number) {}
  ~Exchange() override { connection_->Abandon(number_); }
  void Post(std::function<void()> task) override { connection_->Post(std::move(task)); }
  void Respond(HttpResponse response) override { connection_->Respond(number_, std::move(response)); }
  void StartStream(absl::string_view type, const HttpHeaders& headers) override {
    connection_->StartStream(number_, type, headers);
  }
  bool Write(absl::string_view data) override { return connection_->Write(number_, data); }
  void EndStream(bool clean) override { connection_->EndStream(number_, clean); }
  void OnClosed(std::function<void(HttpClose)> callback) override {
    connection_->OnClosed(number_, std::move(callback));
  }
  void SetAlarm(MonoTime when, std::function<void()> callback) override {
    connection_->SetAlarm(number_, when, std::move(callback));
  }

 private:
  const std::shared_ptr<Connection> connection_;
  const uint64_t number_;
};

}  // namespace

Connection::Connection(asio::ip::tcp::socket socket, std::shared_ptr<asio::ssl::context> tls,
                       const HttpLimits& limits, HttpHandler& handler, std::function<void()> on_end)
    : socket_(std::move(socket), std::move(tls)),
      limits_(limits),
      handler_(handler),
      on_end_(std::move(on_end)),
      timer_(socket_.get_executor()),
      alarm_(socket_.get_executor()),
      buffer_(limits.max_header_bytes + limits.max_read_ahead_bytes) {}

Connection::~Connection() {
  if (on_end_) on_end_();
}

void Connection::Start() {
  asio::dispatch(socket_.get_executor(), [self = shared_from_this()] {
    Error ignored;
    self->socket_.tcp().set_option(asio::ip::tcp::no_delay(true), ignored);
    if (self->socket_.has_tls()) return self->Handshake();
    self->ReadRequest();
  });
}

void Connection::Refuse() {
  asio::dispatch(socket_.get_executor(), [self = shared_from_this()] {
    if (self->socket_.has_tls()) return self->Close(HttpClose::kClientGone);
    self->FailRequest(503, "too many connections; try again shortly");
  });
}

void Connection::Stop() {
  asio::post(socket_.get_executor(),
             [self = shared_from_this()] { self->Close(HttpClose::kServerStopping); });
}

void Connection::Retire() {
  asio::post(socket_.get_executor(), [self = shared_from_this()] {
    self->keep_alive_ = false;
    if (self->exchange_ != 0) return;
    self->close_when_written_ = true;
    if (!self->write_active_) self->Close(HttpClose::kServerStopping);
  });
}

void Connection::Interrupt() {
  Retire();
  asio::post(socket_.get_executor(), [self = shared_from_this()] {
    auto on_closed = std::exchange(self->on_closed_, nullptr);
    if (self->exchange_ != 0 && !self->closed_ && on_closed) on_closed(HttpClose::kServerStopping);
  });
}

void Connection::Post(std::function<void()> task) {
  asio::post(socket_.get_executor(), std::move(task));
}

// --- reading ---

void Connection::Handshake() {
  Expect(limits_.header_timeout, HttpClose::kClientGone);
  socket_.async_handshake([self = shared_from_this()](Error error) {
    if (self->closed_) return;
    if (error) return self->Close(HttpClose::kClientGone);
    self->ReadRequest();
  });
}

void Connection::ReadRequest() {
  waits_ = true;
  parser_.emplace();
  parser_->header_limit(limits_.max_header_bytes);
  parser_->body_limit(limits_.max_body_bytes);
  reading_ = true;
  Expect(limits_.header_timeout, HttpClose::kClientGone);
  http::async_read_header(socket_, buffer_, *parser_,
                          [self = shared_from_this()](Error error, size_t) { self->OnHeader(error); });
}

void Connection::OnHeader(Error error) {
  reading_ = false;
  if (closed_) return;
  if (error) return ReadFailed(error);
  if (!OnlyChunked(parser_->get()))
    return FailRequest(400, "the only Transfer-Encoding understood is chunked");
  if (boost::beast::iequals(parser_->get()[http::field::expect], "100-continue")) {
    Send("HTTP/1.1 100 Continue\r\n\r\n");
  }
  if (parser_->is_done()) return Dispatch();
  ReadBody();
}

void Connection::ReadBody() {
  reading_ = true;
  Expect(limits_.body_timeout, HttpClose::kClientGone);
  http::async_read(socket_, buffer_, *parser_,
                   [self = shared_from_this()](Error error, size_t) { self->OnBody(error); });
}

void Connection::OnBody(Error error) {
  reading_ = false;
  if (closed_) return;
  if (error) return ReadFailed(error);
  Dispatch();
}

void Connection::ReadFailed(Error error) {
  if (error == http::error::header_limit || error == http::error::buffer_overflow) {
    return FailRequest(431, "the request's headers are too large");
  }
  if (error == http::error::body_limit) return FailRequest(413, "the request's body is too large");
  const bool malformed = error.category() == make_error_code(http::error::bad_method).category() &&
                         error != http::error::end_of_stream && error != http::error::partial_message;
  if (malformed) return FailRequest(400, "malformed HTTP request: " + error.message());
  Close(HttpClose::kClientGone);
}

void Connection::FailRequest(int status, absl::string_view message) {
  keep_alive_ = false;
  head_only_ = false;
  lingering_ = true;
  exchange_ = next_exchange_++;
  HttpResponse response = handler_.ErrorResponse(status, message);
  response.close = true;
  Respond(exchange_, std::move(response));
}

void Connection::Dispatch() {
  waits_ = false;
  ClearTimer();
  auto message = parser_->release();
  HttpRequest request;
  request.method = std::string(message.method_string());
  const auto target = message.target();
  request.path = std::string(target.substr(0, target.find('?')));
  request.content_type = std::string(message[http::field::content_type]);
  request.authorization = std::string(message[http::field::authorization]);
  request.last_event_id = std::string(message["Last-Event-ID"]);
  request.has_length = message.has_content_length() || message.chunked();
  keep_alive_ = message.keep_alive();
  chunked_ = message.version() >= 11;
  head_only_ = message.method() == http::verb::head;
  request.body = std::move(message.body());
  parser_.reset();
  exchange_ = next_exchange_++;
  streaming_ = false;
  auto exchange = std::make_shared<Exchange>(shared_from_this(), exchange_);
  handler_.Handle(std::move(request), std::move(exchange));
  if (!closed_ && exchange_ != 0) WatchForClose();
}

// Keeps a read pending while an exchange is open or the connection is idle. What arrives is the next
// request's; a client that sends more of it than the read-ahead holds is cut off, for its leaving could not
// be seen.
void Connection::WatchForClose() {
  if (reading_ || watching_ || closed_ || close_when_written_) return;
  if (buffer_.size() >= limits_.max_read_ahead_bytes) return Close(HttpClose::kClientGone);
  watching_ = true;
  socket_.async_read_some(buffer_.prepare(limits_.max_read_ahead_bytes - buffer_.size()),
                          [self = shared_from_this()](Error error, size_t bytes) {
                            self->watching_ = false;
                            if (self->closed_) return;
                            if (error == asio::error::operation_aborted) return self->NextRequest();
                            if (error) return self->Close(HttpClose::kClientGone);
                            self->buffer_.commit(bytes);
                            if (self->exchange_ != 0) return self->WatchForClose();
                            self->NextRequest();
                          });
}

void Connection::NextRequest() {
  if (closed_ || exchange_ != 0 || reading_ || write_active_) return;
  if (buffer_.size() > 0) {
    if (!watching_) return ReadRequest();
    Error ignored;
    socket_.tcp().cancel(ignored);  // the watch; it comes back here
    return;
  }
  waits_ = true;
  Expect(limits_.idle_timeout, HttpClose::kClientGone);
  WatchForClose();
}

// --- writing ---

void Connection::Respond(uint64_t number, HttpResponse response) {
  if (!Open(number) || streaming_) return;
  const bool keep_alive = keep_alive_ && !response.close;
  std::string head = ResponseHead(response.status, response.content_type, keep_alive);
  for (const auto& [name, value] : response.headers) head += name + ": " + value + "\r\n";
  head += "Content-Length: " + std::to_string(response.body.size()) + "\r\n\r\n";
  if (!head_only_) head += response.body;
  ExchangeEnded(keep_alive);
  Send(std::move(head));
}

void Connection::StartStream(uint64_t number, absl::string_view content_type, const HttpHeaders& headers) {
  if (!Open(number) || streaming_) return;
  streaming_ = true;
  keep_alive_ = keep_alive_ && chunked_;
  std::string head = ResponseHead(200, content_type, keep_alive_);
  head += "Cache-Control: no-cache\r\n";
  for (const auto& [name, value] : headers) head += name + ": " + value + "\r\n";
  if (chunked_) head += "Transfer-Encoding: chunked\r\n";
  head += "\r\n";
  Send(std::move(head));
}

bool Connection::Write(uint64_t number, absl::string_view data) {
  if (!Open(number) || !streaming_ || data.empty()) return true;
  if (pending_.size() + writing_.size() + data.size() > limits_.max_send_buffer_bytes) return false;
  std::string bytes = chunked_ ? Chunk(data) : std::string(data);
  // Most events find room in the kernel: then nothing is left to wait for.
  if (!write_active_) bytes.erase(0, socket_.TryWrite(bytes));
  if (!bytes.empty()) Send(std::move(bytes));
  return true;
}

void Connection::EndStream(uint64_t number, bool clean) {
  if (!Open(number) || (clean && !streaming_)) return;
  ExchangeEnded(clean && keep_alive_);
  if (clean && chunked_) return Send(std::string(kLastChunk));
  if (!write_active_) Close(HttpClose::kClientGone);
}

// Before the last bytes are sent, so that their completion finds the connection between exchanges.
void Connection::ExchangeEnded(bool keep_alive) {
  exchange_ = 0;
  streaming_ = false;
  on_closed_ = nullptr;
  ++alarm_armed_;
  alarm_.cancel();
  close_when_written_ = !keep_alive;
}

void Connection::Send(std::string bytes) {
  if (closed_) return;
  pending_ += bytes;
  Flush();
}

void Connection::Flush() {
  if (write_active_ || pending_.empty()) return;
  write_active_ = true;
  writing_.clear();
  std::swap(writing_, pending_);
  if (!reading_) Expect(limits_.write_timeout, HttpClose::kWriteTimeout);
  asio::async_write(socket_, asio::buffer(writing_),
                    [self = shared_from_this()](Error error, size_t) { self->OnWritten(error); });
}

void Connection::OnWritten(Error error) {
  write_active_ = false;
  writing_.clear();
  if (closed_) return;
  if (error) return Close(HttpClose::kClientGone);
  if (!pending_.empty()) return Flush();
  if (!reading_) ClearTimer();
  if (close_when_written_) return lingering_ ? Linger() : Close(HttpClose::kClientGone);
  if (exchange_ == 0 && !reading_) NextRequest();
}

// Closing with unread input would reset the connection and could destroy the answer on its way: reads on for
// a while.
void Connection::Linger() {
  Error ignored;
  if (discarded_ == 0) {
    socket_.tcp().shutdown(asio::ip::tcp::socket::shutdown_send, ignored);
    Expect(kLingerTime, HttpClose::kClientGone);
  }
  buffer_.clear();
  socket_.async_read_some(buffer_.prepare(limits_.max_read_ahead_bytes),
                          [self = shared_from_this()](Error error, size_t bytes) {
                            self->discarded_ += bytes;
                            if (self->closed_) return;
                            if (error || self->discarded_ > kMaxDiscardedBytes)
                              return self->Close(HttpClose::kClientGone);
                            self->Linger();
                          });
}

// --- ends ---

void Connection::OnClosed(uint64_t number, std::function<void(HttpClose)> callback) {
  if (Open(number)) on_closed_ = std::move(callback);
}

void Connection::SetAlarm(uint64_t number, MonoTime when, std::function<void()> callback) {
  if (!Open(number)) return;
  const uint64_t armed = ++alarm_armed_;
  alarm_.cancel();
  if (when == absl::InfiniteFuture()) return;
  alarm_.expires_at(
      std::chrono::steady_clock::time_point(absl::ToChronoNanoseconds(when - absl::UnixEpoch())));
  alarm_.async_wait([self = shared_from_this(), armed, callback = std::move(callback)](Error) {
    if (self->alarm_armed_ == armed && !self->closed_) callback();
  });
}

void Connection::Abandon(uint64_t number) {
  auto self = weak_from_this().lock();
  if (self == nullptr) return;
  asio::post(socket_.get_executor(), [self, number] {
    if (self->Open(number)) self->Close(HttpClose::kClientGone);
  });
}

void Connection::Expect(absl::Duration within, HttpClose why) {
  const uint64_t armed = ++timer_armed_;
  timer_.expires_after(absl::ToChronoNanoseconds(within));
  timer_.async_wait([self = shared_from_this(), armed, why](Error) {
    if (self->timer_armed_ == armed && !self->closed_) self->Close(why);
  });
}

void Connection::ClearTimer() {
  ++timer_armed_;
  timer_.cancel();
}

void Connection::Close(HttpClose why) {
  if (closed_) return;
  closed_ = true;
  ClearTimer();
  ++alarm_armed_;
  alarm_.cancel();
  Error ignored;
  socket_.tcp().shutdown(asio::ip::tcp::socket::shutdown_both, ignored);
  socket_.tcp().close(ignored);
  auto on_closed = std::exchange(on_closed_, nullptr);
  if (exchange_ != 0 && on_closed) on_closed(why);
  exchange_ = 0;
  if (auto on_end = std::exchange(on_end_, nullptr)) on_end();
}

}  // namespace baton::router
