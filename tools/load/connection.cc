#include "tools/load/connection.h"

#include <boost/asio/buffer.hpp>
#include <boost/asio/error.hpp>
#include <boost/asio/write.hpp>

#include "absl/strings/str_cat.h"

namespace baton::load {

namespace asio = boost::asio;
using boost::system::error_code;

Connection::Connection(asio::io_context& io, const ClientOptions& options, const Events& events,
                       Answer answer)
    : options_(options), events_(events), socket_(io), answer_(std::move(answer)) {}

void Connection::Start(const asio::ip::tcp::endpoint& endpoint, std::string bytes) {
  out_ = std::move(bytes);
  last_byte_ = Now();
  answer_.Sent(last_byte_);
  error_code error;
  socket_.open(endpoint.protocol(), error);
  if (!error) socket_.set_option(asio::ip::tcp::no_delay(true), error);
  if (error) return End(Outcome::kConnect, error.message(), Now());
  socket_.async_connect(endpoint, [self = shared_from_this()](error_code failed) {
    if (self->finished_) return;
    if (failed) return self->End(Outcome::kConnect, failed.message(), self->Now());
    self->connected_ = true;
    self->Write();
    self->Read();  // an answer may come before the whole request was taken
  });
}

void Connection::Write() {
  asio::async_write(socket_, asio::buffer(out_), [self = shared_from_this()](error_code, size_t) {
    self->last_byte_ = self->Now();  // where it failed, reading tells more
  });
}

void Connection::Read() {
  socket_.async_read_some(asio::buffer(in_), [self = shared_from_this()](error_code error, size_t size) {
    if (self->finished_) return;
    const MonoTime now = self->Now();
    if (error) {
      self->answer_.Closed(now);
      return self->Finish();
    }
    self->last_byte_ = now;
    const Answer::Step step = self->answer_.Add({self->in_.data(), size}, now);
    if (step.tokens > 0) self->events_.on_step(*self, step);
    if (self->finished_) return;
    if (step.ended) return self->Finish();
    self->Read();
  });
}

void Connection::CheckDeadlines(MonoTime now) {
  if (!connected_ && now - last_byte_ > options_.connect_timeout)
    return End(Outcome::kConnect,
               absl::StrCat("no connection within ", absl::FormatDuration(options_.connect_timeout)), now);
  if (now - last_byte_ > options_.stall_timeout)
    return End(Outcome::kTimeout,
               absl::StrCat("nothing came for ", absl::FormatDuration(options_.stall_timeout)), now);
  if (now - record().scheduled > options_.request_timeout)
    End(Outcome::kTimeout, absl::StrCat("no end within ", absl::FormatDuration(options_.request_timeout)),
        now);
}

void Connection::End(Outcome outcome, absl::string_view error, MonoTime now) {
  if (finished_) return;
  answer_.End(outcome, error, now);
  Finish();
}

void Connection::Finish() {
  if (finished_) return;
  finished_ = true;
  const auto self = shared_from_this();  // the owner lets go of it in on_end
  error_code ignored;
  socket_.close(ignored);
  events_.on_end(*this);
}

}  // namespace baton::load
