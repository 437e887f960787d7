#include "tools/load/client.h"

#include <algorithm>
#include <boost/asio/post.hpp>
#include <boost/asio/steady_timer.hpp>
#include <unordered_map>

#include "absl/strings/str_cat.h"
#include "common/status_macros.h"
#include "tools/ctl/http.h"
#include "tools/load/connection.h"
#include "tools/load/schedule.h"

namespace baton::load {

namespace asio = boost::asio;
using boost::system::error_code;

namespace {

constexpr absl::Duration kTick = absl::Milliseconds(10);
constexpr int kTicksToDeadlines = 10;
constexpr int kMostAtOnce = 64;  // requests that are due: then what came in has its turn

std::string HttpBytes(const ClientOptions& options, absl::string_view path, absl::string_view body) {
  const std::string key =
      options.api_key.empty() ? "" : absl::StrCat("Authorization: Bearer ", options.api_key, "\r\n");
  return absl::StrCat("POST ", path, " HTTP/1.1\r\nHost: ", options.host, ":", options.port, "\r\n", key,
                      "Content-Type: application/json\r\nAccept: text/event-stream\r\nContent-Length: ",
                      body.size(), "\r\nConnection: close\r\n\r\n", body);
}

}  // namespace

class Client::Loop {
 public:
  explicit Loop(ClientOptions options)
      : options_(std::move(options)),
        path_(absl::StrCat(options_.base_path,
                           options_.style.api == Api::kChat ? "/v1/chat/completions" : "/v1/completions")),
        arrival_(io_),
        tick_(io_) {
    events_.on_step = [this](Connection& connection, const Answer::Step& step) { Tokens(connection, step); };
    events_.on_end = [this](Connection& connection) { Ended(connection); };
  }

  absl::Status Run(const LoadPlan& plan, const Observer& observer, MonoTime origin);
  void Stop() {
    asio::post(io_, [this] { StopNow("the run was stopped"); });
  }

 private:
  absl::Status Resolve();
  void ArmArrival();
  void SendDue();
  void Send(const Schedule::Due& due);
  void NotSent(size_t index, MonoTime scheduled, absl::string_view why);
  void Tokens(Connection& connection, const Answer::Step& step);
  void Ended(Connection& connection);
  void Continue(StreamRecord& record);
  void ArmTick(MonoTime at);
  void Tick(MonoTime wanted);
  void StopNow(absl::string_view why);
  void MaybeDone();
  std::chrono::steady_clock::time_point At(MonoTime time) const {
    return std::chrono::steady_clock::time_point(absl::ToChronoNanoseconds(time - absl::UnixEpoch()));
  }
  bool KeepsConversations(size_t index) const { return schedule_->TurnAfter(index).has_value(); }

  ClientOptions options_;
  std::string path_;
  SteadyClock clock_;
  asio::io_context io_{1};
  asio::steady_timer arrival_, tick_;
  asio::ip::tcp::endpoint endpoint_;
  Connection::Events events_;
  const LoadPlan* plan_ = nullptr;
  const Observer* observer_ = nullptr;
  MonoTime origin_, last_;  // nothing runs after `last_`
  std::unique_ptr<Schedule> schedule_;
  std::unordered_map<size_t, std::shared_ptr<Connection>> running_;
  std::unordered_map<size_t, Conversation>
      conversations_;  // of sessions with a turn to come, by the last turn
  Counters counters_;
  int ticks_ = 0;
  bool stopped_ = false;
};

absl::Status Client::Loop::Resolve() {
  asio::ip::tcp::resolver resolver(io_);
  error_code error;
  const auto found = resolver.resolve(options_.host, options_.port, error);
  if (error || found.empty())
    return absl::NotFoundError(absl::StrCat("cannot find ", options_.host, ": ", error.message()));
  endpoint_ = found.begin()->endpoint();
  return absl::OkStatus();
}

absl::Status Client::Loop::Run(const LoadPlan& plan, const Observer& observer, MonoTime origin) {
  BATON_RETURN_IF_ERROR(Schedule::Check(plan));
  BATON_RETURN_IF_ERROR(Resolve());
  plan_ = &plan;
  observer_ = &observer;
  origin_ = origin;
  last_ = origin + plan.duration + options_.drain;
  schedule_ = std::make_unique<Schedule>(plan, origin);
  running_.reserve(std::min<size_t>(options_.max_connections, 1 << 16));
  ArmTick(std::max(origin, clock_.Now()) + kTick);
  ArmArrival();
  MaybeDone();
  io_.run();
  return absl::OkStatus();
}

void Client::Loop::ArmArrival() {
  if (stopped_ || schedule_->Empty()) return;
  arrival_.expires_at(At(*schedule_->NextAt()));
  arrival_.async_wait([this](error_code error) {
    if (!error) SendDue();
  });
}

void Client::Loop::SendDue() {
  for (int sent = 0; sent < kMostAtOnce && !stopped_; ++sent) {
    const auto due = schedule_->TakeDue(clock_.Now());
    if (!due) break;
    Send(*due);
  }
  MaybeDone();
  ArmArrival();
}

void Client::Loop::Send(const Schedule::Due& due) {
  const PlannedRequest& request = plan_->requests[due.index];
  if (running_.size() >= options_.max_connections) return NotSent(due.index, due.at, kNoConnection);
  Conversation conversation;
  if (const auto before = conversations_.find(request.after);
      request.after >= 0 && before != conversations_.end()) {
    conversation = std::move(before->second);
    conversations_.erase(before);
  }
  conversation = WithPrompt(std::move(conversation), request, options_.style);
  const std::string body = RequestBody(request, conversation, options_.style);
  const bool turns = KeepsConversations(due.index);
  Answer answer(request, due.index, due.at, options_.keep_bodies || turns);
  answer.record().path = path_;
  if (options_.keep_bodies) answer.record().request_body = body;
  if (turns) conversations_[due.index] = std::move(conversation);
  const auto connection = std::make_shared<Connection>(io_, options_, events_, std::move(answer));
  running_[due.index] = connection;
  ++counters_.sent;
  connection->Start(endpoint_, HttpBytes(options_, path_, body));
}

// And so are the turns after it.
void Client::Loop::NotSent(size_t index, MonoTime scheduled, absl::string_view why) {
  StreamRecord record;
  record.index = index;
  record.scheduled = scheduled;
  record.ended = clock_.Now();
  record.error = std::string(why);
  ++counters_.errors;
  if (observer_->on_end) observer_->on_end(record);
  if (const auto turn = schedule_->TurnAfter(index)) NotSent(*turn, record.ended, "the turn before failed");
}

void Client::Loop::Tokens(Connection& connection, const Answer::Step& step) {
  counters_.tokens += step.tokens;
  const StreamRecord& record = connection.record();
  if (observer_->on_tokens)
    observer_->on_tokens(record.index, record.arrivals.back().at, step.tokens, step.ids);
}

void Client::Loop::Ended(Connection& connection) {
  StreamRecord& record = connection.answer().record();
  const auto self = running_.extract(record.index);
  const bool failed = !ErrorKind(record).empty();
  ++(failed ? counters_.errors : counters_.done);
  Continue(record);
  if (observer_->on_end) observer_->on_end(record);
  MaybeDone();
}

void Client::Loop::Continue(StreamRecord& record) {
  const auto turn = schedule_->TurnAfter(record.index);
  if (!turn) return;
  const auto own = conversations_.find(record.index);
  if (record.outcome != Outcome::kCompleted) {
    if (own != conversations_.end()) conversations_.erase(own);
    if (!stopped_) NotSent(*turn, record.ended, "the turn before failed");
    return;
  }
  own->second.messages.push_back({"assistant", record.text});
  own->second.ids.insert(own->second.ids.end(), record.token_ids.begin(), record.token_ids.end());
  if (!options_.keep_bodies) record.text.clear();
  schedule_->Ended(record.index, record.ended);
  ArmArrival();
}

void Client::Loop::ArmTick(MonoTime at) {
  tick_.expires_at(At(at));
  tick_.async_wait([this, at](error_code error) {
    if (!error) Tick(at);
  });
}

void Client::Loop::Tick(MonoTime wanted) {
  const MonoTime now = clock_.Now();
  counters_.running = static_cast<int64_t>(running_.size());
  if (observer_->on_tick) observer_->on_tick(now, now - wanted, counters_);
  if (++ticks_ % kTicksToDeadlines == 0) {
    std::vector<std::shared_ptr<Connection>> looked_at;
    for (const auto& [index, connection] : running_) looked_at.push_back(connection);
    for (const auto& connection : looked_at) connection->CheckDeadlines(now);
  }
  if (now > last_) return StopNow("still running when the drain was over");
  if (!stopped_) ArmTick(std::max(wanted, now - kTick) + kTick);
}

void Client::Loop::StopNow(absl::string_view why) {
  if (stopped_) return;
  stopped_ = true;
  const MonoTime now = clock_.Now();
  std::vector<std::shared_ptr<Connection>> open;
  for (const auto& [index, connection] : running_) open.push_back(connection);
  for (const auto& connection : open) connection->End(Outcome::kUnfinished, why, now);
  arrival_.cancel();
  tick_.cancel();
}

void Client::Loop::MaybeDone() {
  if (running_.empty() && schedule_->Empty()) StopNow("");
}

Client::Client(ClientOptions options) : loop_(std::make_unique<Loop>(std::move(options))) {}
Client::~Client() = default;

absl::Status Client::Run(const LoadPlan& plan, const Observer& observer, MonoTime origin) {
  return loop_->Run(plan, observer, origin);
}

void Client::Stop() {
  loop_->Stop();
}

absl::StatusOr<std::string> AskModel(const ClientOptions& options) {
  ctl::HttpRequest request;
  const bool six = options.host.find(':') != std::string::npos;
  request.url = absl::StrCat("http://", six ? "[" : "", options.host, six ? "]" : "", ":", options.port,
                             options.base_path, "/v1/models");
  BATON_ASSIGN_OR_RETURN(const ctl::HttpResponse response, ctl::Fetch(request));
  if (response.code != 200)
    return absl::NotFoundError(
        absl::StrCat(request.url, " answers HTTP ", response.code, ": ", ErrorText(response.body)));
  return FirstModel(response.body);
}

}  // namespace baton::load
