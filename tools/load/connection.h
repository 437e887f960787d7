#pragma once

// One request on a connection of its own: connects, writes, reads until the answer ended. Runs on its
// io_context's thread. Asio's types stay in this header, connection.cc and client.cc.

#include <array>
#include <boost/asio/io_context.hpp>
#include <boost/asio/ip/tcp.hpp>
#include <memory>
#include <string>

#include "tools/load/answer.h"
#include "tools/load/client.h"

namespace baton::load {

class Connection : public std::enable_shared_from_this<Connection> {
 public:
  struct Events {
    std::function<void(Connection&, const Answer::Step&)> on_step;  // bytes came; not of the end
    std::function<void(Connection&)> on_end;                        // once; the record is final
  };
  // `options` and `events` outlive it.
  Connection(boost::asio::io_context& io, const ClientOptions& options, const Events& events, Answer answer);

  void Start(const boost::asio::ip::tcp::endpoint& endpoint, std::string bytes);
  // Ends it where one of the deadlines has passed.
  void CheckDeadlines(MonoTime now);
  void End(Outcome outcome, absl::string_view error, MonoTime now);

  Answer& answer() { return answer_; }
  const StreamRecord& record() { return answer_.record(); }

 private:
  void Write();
  void Read();
  void Finish();
  MonoTime Now() const { return clock_.Now(); }

  SteadyClock clock_;
  const ClientOptions& options_;
  const Events& events_;
  boost::asio::ip::tcp::socket socket_;
  Answer answer_;
  std::string out_;
  std::array<char, 4096> in_;
  MonoTime last_byte_;
  bool connected_ = false, finished_ = false;
};

}  // namespace baton::load
