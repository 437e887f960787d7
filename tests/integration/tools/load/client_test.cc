#include "tools/load/client.h"

#include <thread>

#include "absl/strings/str_cat.h"
#include "benchmarks/serve/fake_endpoint.h"
#include "gmock/gmock.h"
#include "gtest/gtest.h"
#include "tests/integration/tools/load/scripted_server.h"
#include "tools/load/bench_serve.h"

namespace baton::load {
namespace {

using ::testing::ElementsAre;
using ::testing::HasSubstr;

ClientOptions To(int port) {
  ClientOptions options;
  options.host = "127.0.0.1";
  options.port = std::to_string(port);
  options.style.model = "m";
  options.stall_timeout = options.drain = absl::Seconds(60);  // a machine may be slow
  options.keep_bodies = true;
  return options;
}

LoadPlan PlanFor(const std::vector<std::string>& users) {
  LoadPlan plan{.duration = absl::Seconds(1)};
  for (const std::string& user : users) {
    PlannedRequest request;
    request.at = absl::Milliseconds(5 * plan.requests.size());
    request.prompt.text = absl::StrCat("I am ", user);
    request.tenant = user;
    request.max_tokens = 2;
    plan.requests.push_back(request);
  }
  return plan;
}

// The records by index.
std::map<size_t, StreamRecord> RunAll(const ClientOptions& options, const LoadPlan& plan) {
  std::map<size_t, StreamRecord> records;
  Observer observer;
  observer.on_end = [&](const StreamRecord& record) {
    EXPECT_EQ(records.count(record.index), 0u) << "reported twice";
    records[record.index] = record;
  };
  const absl::Status ran = Client(options).Run(plan, observer, SteadyClock().Now());
  EXPECT_TRUE(ran.ok()) << ran;
  return records;
}

Script Good() {
  return {{GoodHead(), TokenChunk("a", 5), TokenChunk("b", 6, "length"), GoodEnd(2)}, Script::Then::kHold};
}

TEST(Client, GoodAnswersComeWhole) {
  ScriptedServer server({{"good", Good()}});
  ClientOptions options = To(server.port());
  options.api_key = "sesame";
  const auto records = RunAll(options, PlanFor({"good"}));
  const StreamRecord& record = records.at(0);
  EXPECT_EQ(record.outcome, Outcome::kCompleted) << record.error;
  EXPECT_THAT(record.token_ids, ElementsAre(5, 6));
  EXPECT_EQ(record.text, "ab");
  EXPECT_EQ(record.input_tokens, 7);
  EXPECT_EQ(record.output_tokens, 2);
  EXPECT_GE(record.sent, record.scheduled);
  EXPECT_GE(record.ended, record.arrivals[1].at);
  const std::string request = server.requests().at(0);
  EXPECT_THAT(request, HasSubstr("POST /v1/chat/completions HTTP/1.1\r\n"));
  EXPECT_THAT(request, HasSubstr("Authorization: Bearer sesame\r\n"));
  EXPECT_THAT(request, HasSubstr(record.request_body));
}

TEST(Client, MisbehaviourOfEachKindIsCounted) {
  std::string whole;
  for (const std::string& piece : Good().pieces) whole += piece;
  std::vector<std::string> bytes;
  for (const char c : whole) bytes.emplace_back(1, c);
  ScriptedServer server({
      {"good", Good()},
      {"bytewise", {bytes, Script::Then::kClose}},
      {"garbage", {{"220 smtp.example ESMTP\r\n"}, Script::Then::kHold}},
      {"early", {{GoodHead(), TokenChunk("a", 5)}, Script::Then::kClose}},
      {"nothing", {{}, Script::Then::kClose}},
      {"busy", {{"HTTP/1.1 429 Too Many Requests\r\nContent-Length: 2\r\n\r\n{}"}, Script::Then::kHold}},
      {"error",
       {{GoodHead(), TokenChunk("a", 5), "20\r\ndata: {\"error\":{\"message\":\"x\"}}\n\r\n"},
        Script::Then::kHold}},
      {"huge", {{GoodHead(), "200000\r\n" + std::string(2 << 20, 'x')}, Script::Then::kHold}},
      {"short", {{GoodHead(), TokenChunk("a", 5), GoodEnd(1)}, Script::Then::kHold}},
  });
  const std::pair<const char*, const char*> wanted[] = {{"good", ""},
                                                        {"bytewise", ""},
                                                        {"garbage", "mid_stream"},
                                                        {"early", "disconnect"},
                                                        {"nothing", "disconnect"},
                                                        {"busy", "429"},
                                                        {"error", "mid_stream"},
                                                        {"huge", "mid_stream"},
                                                        {"short", "short"}};
  std::vector<std::string> users;
  for (const auto& [user, kind] : wanted) users.emplace_back(user);
  const auto records = RunAll(To(server.port()), PlanFor(users));
  ASSERT_EQ(records.size(), users.size());
  for (size_t i = 0; i < users.size(); ++i) {
    EXPECT_EQ(ErrorKind(records.at(i)), wanted[i].second) << users[i] << ": " << records.at(i).error;
  }
}

TEST(Client, SilenceIsATimeout) {
  ScriptedServer server({{"stall", {{GoodHead(), TokenChunk("a", 5)}, Script::Then::kHold}},
                         {"silent", {{}, Script::Then::kHold}}});
  ClientOptions options = To(server.port());
  options.stall_timeout = absl::Milliseconds(300);
  const auto records = RunAll(options, PlanFor({"stall", "silent"}));
  for (const auto& [index, record] : records) EXPECT_EQ(record.outcome, Outcome::kTimeout) << record.error;
}

TEST(Client, NobodyThereIsAConnectError) {
  const DeafPort nobody;
  EXPECT_EQ(RunAll(To(nobody.port()), PlanFor({"a"})).at(0).outcome, Outcome::kConnect);
  ClientOptions unknown = To(nobody.port());
  unknown.host = std::string(300, 'x');  // longer than names can be: nobody is asked
  EXPECT_EQ(Client(unknown).Run(PlanFor({"a"}), {}, SteadyClock().Now()).code(), absl::StatusCode::kNotFound);
  EXPECT_FALSE(AskModel(To(nobody.port())).ok());
}

TEST(Client, ArrivalsDoNotWaitForAnswersAndConnectionsAreBounded) {
  ScriptedServer server({{"silent", {{}, Script::Then::kHold}}});
  ClientOptions options = To(server.port());
  options.max_connections = 6;
  Client client(options);
  int unsent = 0;
  Observer observer;
  observer.on_end = [&](const StreamRecord& record) { unsent += record.error == kNoConnection; };
  observer.on_tick = [&](MonoTime, absl::Duration, const Counters& counters) {
    EXPECT_LE(counters.running, 6);
    if (unsent == 4 && server.most_at_once() == 6) client.Stop();
  };
  const LoadPlan plan = PlanFor(std::vector<std::string>(10, "silent"));
  ASSERT_TRUE(client.Run(plan, observer, SteadyClock().Now()).ok());
  EXPECT_EQ(server.most_at_once(), 6u);
  EXPECT_EQ(unsent, 4);
}

TEST(Client, TurnsBringTheAnswersBefore) {
  ScriptedServer server(
      {{"good", Good()}, {"busy", {{"HTTP/1.1 503 No\r\nContent-Length: 0\r\n\r\n"}, Script::Then::kHold}}});
  LoadPlan plan = PlanFor({"good", "good", "good", "busy", "good", "good"});
  plan.requests[1].after = 0;
  plan.requests[2].after = 1;
  plan.requests[4].after = 3;
  plan.requests[5].after = 4;
  const auto records = RunAll(To(server.port()), plan);
  EXPECT_THAT(records.at(2).request_body,
              HasSubstr(R"([{"role":"user","content":"I am good"},{"role":"assistant","content":"ab"},)"
                        R"({"role":"user","content":"I am good"},{"role":"assistant","content":"ab"},)"));
  EXPECT_GE(records.at(1).scheduled, records.at(0).ended);
  EXPECT_EQ(records.at(3).http_status, 503);
  EXPECT_EQ(records.at(4).outcome, Outcome::kNotSent);
  EXPECT_EQ(records.at(5).outcome, Outcome::kNotSent);
}

TEST(Client, StopEndsWhatRuns) {
  ScriptedServer server({{"stall", {{GoodHead(), TokenChunk("a", 5)}, Script::Then::kHold}}});
  ClientOptions options = To(server.port());
  LoadPlan plan = PlanFor({"stall", "stall", "stall"});
  plan.requests[2].at = absl::Seconds(50);
  plan.duration = absl::Seconds(60);
  Client client(options);
  std::vector<StreamRecord> records;
  int tokens = 0;
  Observer observer;
  observer.on_end = [&](const StreamRecord& record) { records.push_back(record); };
  std::thread stopper;
  observer.on_tokens = [&](size_t, MonoTime, int count, const std::vector<int32_t>& ids) {
    EXPECT_THAT(ids, ElementsAre(5));
    if ((tokens += count) == 2) stopper = std::thread([&] { client.Stop(); });
  };
  ASSERT_TRUE(client.Run(plan, observer, SteadyClock().Now()).ok());
  stopper.join();
  ASSERT_EQ(records.size(), 2u);
  for (const StreamRecord& record : records) EXPECT_EQ(record.outcome, Outcome::kUnfinished);
}

TEST(Client, StopBeforeRunSendsNothing) {
  Client client(To(1));
  client.Stop();
  EXPECT_TRUE(client.Run(PlanFor({"a"}), {}, SteadyClock().Now() + absl::Seconds(5)).ok());
}

TEST(Client, TheDrainEnds) {
  ScriptedServer server({{"silent", {{}, Script::Then::kHold}}});
  ClientOptions options = To(server.port());
  options.drain = absl::Milliseconds(100);
  LoadPlan plan = PlanFor({"silent"});
  plan.duration = absl::Milliseconds(100);
  EXPECT_EQ(RunAll(options, plan).at(0).outcome, Outcome::kUnfinished);
}

TEST(Client, MeasuresWhatAFakeEndpointWasSetTo) {
  const auto fake = *FakeEndpoint::Start({absl::Milliseconds(60), absl::Milliseconds(10), 0}, 0);
  BenchOptions options;
  options.client = To(fake->port());
  options.client.keep_bodies = false;
  EXPECT_EQ(*AskModel(options.client), "fake");
  options.workload.arrivals = {ArrivalKind::kPoisson, 50, 1, 1, absl::Seconds(2)};
  options.workload.answer.first = 20;
  options.workload.cancel_share = 0.2;
  options.workload.cancel_after = 5;
  std::string invalid;
  const auto run = RunOnce(
      options, 50, 0, false, [](const std::string&, bool) {}, invalid);
  ASSERT_TRUE(run.ok()) << run.status();
  const Summary& summary = run->summary;
  EXPECT_EQ(summary.completed + summary.cancelled, summary.requests);
  EXPECT_GT(summary.cancelled, 5);
  EXPECT_TRUE(summary.errors.empty());
  EXPECT_EQ(fake->TakeLag().count() > 0, true);
  EXPECT_GE(*summary.spreads.at("ttft_ms").p50, 59);  // a machine may be slow, but no token comes early
  EXPECT_GE(*summary.spreads.at("e2e_ms").p50, 249);
  EXPECT_EQ(summary.spreads.at("itl_ms").count, summary.completed * 19 + summary.cancelled * 4);
}

}  // namespace
}  // namespace baton::load
