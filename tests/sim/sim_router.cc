#include "tests/sim/sim_router.h"

#include <algorithm>
#include <utility>

#include "tests/sim/sim_router_state.h"

namespace baton::sim {
namespace {

router::SessionConfig Config(const WorldOptions& options) {
  router::SessionConfig config;
  config.accept_timeout = absl::Seconds(2);
  config.first_token_timeout = absl::Seconds(10);
  config.stall_timeout = absl::Seconds(8);
  config.retry_backoff = options.retry_backoff;
  config.move_timeout = absl::Seconds(3);
  return config;
}

}  // namespace

SimRouter::SimRouter(const Context& context, NodeId node, std::vector<std::unique_ptr<SimWorker>>* workers)
    : context_(context), node_(node), name_(absl::StrCat("R", node)), workers_(workers) {}

SimRouter::~SimRouter() = default;

void SimRouter::Start() {
  router::AdmissionConfig admission;
  admission.max_inflight = context_.options->admit_inflight;
  admission.max_queue = context_.options->admit_queue;
  admission.max_queue_time = absl::Seconds(3);
  life_ = std::make_unique<Life>(admission);
  for (size_t i = 0; i < workers_->size(); ++i) {
    life_->table.AddEndpoint((*workers_)[i]->name());
    Watch(static_cast<int>(i));
  }
  context_.queue->After(node_, kTick, [this] { Tick(); });
}

void SimRouter::Crash() {
  if (life_ == nullptr) return;
  context_.Note(name_, "crashes");
  context_.queue->Kill(node_);
  std::vector<std::pair<Client*, uint32_t>> cut_off = std::exchange(arriving_, {});
  for (auto& [id, stream] : life_->streams) cut_off.emplace_back(stream.client, stream.claim);
  life_.reset();
  context_.calls->OnNodeDied(node_);
  for (const auto& [client, claim] : cut_off) client->OnConnectionLost(claim);
}

void SimRouter::ShutDown() {
  if (life_ == nullptr) return;
  std::vector<std::pair<StreamId, uint32_t>> ids;
  for (const auto& [id, stream] : life_->streams) ids.emplace_back(id, stream.claim);
  for (const auto& [id, claim] : ids) {
    Drive(id, claim, [](Stream& stream) { return stream.session.ShutDown(); });
  }
}

void SimRouter::Watch(int index) {
  SimWorker* worker = (*workers_)[index].get();
  const auto call = std::make_shared<Calls::Id>(0);
  const auto again = [this, index, worker] {
    life_->table.Disconnected(worker->name());
    context_.queue->After(node_, absl::Milliseconds(150), [this, index] { Watch(index); });
  };
  const auto on_report = [this, worker, call, again](const router::WorkerReport& report) {
    if (life_->table.Report(worker->name(), report, Now()).ok()) return;
    context_.coverage->Hit("router/report out of order");
    context_.calls->Cancel(*call);
    again();
  };
  Calls::Server server;
  server.start = [worker, on_report](Calls::Id id) { worker->ServeWatch(id, on_report); };
  server.on_broken = [worker](Calls::Id id) { worker->OnBroken(id); };
  server.on_sent = [](Calls::Id, int64_t) {};
  *call = context_.calls->Open(node_, worker->node(), "watch", {[again](absl::Status) { again(); }},
                               std::move(server));
}

void SimRouter::Tick() {
  context_.queue->After(node_, kTick, [this] { Tick(); });
  if (life_->table.Tick(Now())) context_.coverage->Hit("router/worker silent");
  OnAdmission(life_->admission.Tick(Now()));
  for (const uint64_t worker : life_->table.SilentWithStreams()) LeaveSilent(worker);
  MoveDraining();
}

void SimRouter::LeaveSilent(uint64_t worker) {
  std::vector<std::pair<StreamId, uint32_t>> open;
  for (const auto& [id, stream] : life_->streams) open.emplace_back(id, stream.claim);
  for (const auto& [id, claim] : open) {
    Drive(id, claim, [&](Stream& stream) {
      router::SessionActions actions = stream.session.WorkerSilent(worker, Now());
      if (!actions.empty()) context_.coverage->Hit("router/left a silent worker");
      return actions;
    });
  }
}

void SimRouter::Connect(Client* client, absl::Duration delay) {
  if (life_ == nullptr) return client->OnFail(client->claim(), absl::UnavailableError("connection refused"));
  arriving_.emplace_back(client, client->claim());
  context_.queue->After(node_, delay, [this, client, claim = client->claim()] {
    const auto it = std::find(arriving_.begin(), arriving_.end(), std::make_pair(client, claim));
    if (it == arriving_.end()) return;
    arriving_.erase(it);
    if (client->claim() == claim && !client->ended()) OnRequest(client);
  });
}

void SimRouter::OnRequest(Client* client) {
  const Request& request = client->request();
  const uint32_t claim = client->claim();
  OnClientGone(request.stream);  // a claim before this one
  router::SessionSpec spec{
      .stream = request.stream, .claim = claim, .max_tokens = static_cast<uint32_t>(request.spec.max_tokens)};
  if (!request.spec.ignore_eos) spec.stop_tokens = request.spec.stop_tokens;
  if (request.timeout < absl::InfiniteDuration()) spec.deadline = Now() + request.timeout;
  const auto [it, added] =
      life_->streams.try_emplace(request.stream, client, claim, Config(*context_.options), spec);
  context_.checker->Require(added, name_, ": an older claim of the stream was not given up");
  Stream& stream = it->second;
  stream.move_id = context_.network->prng()->Id();
  stream.ticket = life_->next_ticket++;
  life_->tickets[stream.ticket] = request.stream;
  const uint64_t tokens = request.spec.tokens.size() + request.spec.max_tokens;
  const auto decision =
      life_->admission.Arrive(stream.ticket, {.tokens = tokens, .deadline = spec.deadline}, Now());
  switch (decision.answer) {
    case router::AdmissionAnswer::kAdmitted:
      context_.coverage->Hit("admission/admitted");
      return Begin(stream);
    case router::AdmissionAnswer::kQueued:
      context_.coverage->Hit("admission/queued");
      return;
    case router::AdmissionAnswer::kRejected:
      context_.coverage->Hit("admission/rejected");
      context_.checker->Require(decision.retry_after > absl::ZeroDuration(), name_,
                                ": rejected without Retry-After");
      life_->tickets.erase(stream.ticket);
      life_->streams.erase(it);
      return client->OnFail(claim, absl::ResourceExhaustedError("too many requests"));
  }
}

void SimRouter::Begin(Stream& stream) {
  stream.admitted = true;
  context_.Note(name_, "begins stream", stream.request().stream.hi % 10000, " of client",
                stream.request().index);
  Drive(stream.request().stream, stream.claim, [this](Stream& s) { return s.session.Start(Now()); });
}

void SimRouter::OnAdmission(const router::AdmissionChanges& changes) {
  for (const router::AdmissionTicket ticket : changes.admitted) {
    context_.coverage->Hit("admission/admitted from the queue");
    Begin(life_->streams.at(life_->tickets.at(ticket)));
  }
  for (const router::AdmissionTicket ticket : changes.expired) {
    context_.coverage->Hit("admission/expired");
    const StreamId id = life_->tickets.at(ticket);
    Stream& stream = life_->streams.at(id);
    Client* client = stream.client;
    const uint32_t claim = stream.claim;
    life_->tickets.erase(ticket);
    life_->streams.erase(id);
    client->OnFail(claim, absl::DeadlineExceededError("waited too long in the queue"));
  }
}

void SimRouter::OnClientGone(const StreamId& id) {
  if (life_ == nullptr) return;
  const auto it = life_->streams.find(id);
  if (it == life_->streams.end()) return;
  Stream& stream = it->second;
  if (!stream.admitted) return EndStream(stream);
  Drive(id, stream.claim, [](Stream& s) { return s.session.ClientGone(); });
}

void SimRouter::EndStream(Stream& stream) {
  const router::AdmissionTicket ticket = stream.ticket;
  CancelMove(stream);
  CancelCall(stream, stream.decode, true);
  CancelCall(stream, stream.next, true);
  CancelCall(stream, stream.prefill, false);
  life_->tickets.erase(ticket);
  life_->streams.erase(stream.request().stream);
  OnAdmission(life_->admission.Leave(ticket, Now()));
}

std::string SimRouter::WhyNotAtBaseline() const {
  if (life_ == nullptr) return "";
  if (!life_->streams.empty()) return absl::StrCat(name_, ": ", life_->streams.size(), " streams are left");
  if (life_->admission.inflight() + life_->admission.queued() != 0)
    return absl::StrCat(name_, ": admission counts a ghost");
  for (const router::RankView& rank : life_->table.Ranks()) {
    if (rank.own_streams + rank.own_tokens != 0)
      return absl::StrCat(name_, ": a rank is charged for a ghost");
  }
  return "";
}

SimWorker* SimRouter::WorkerOf(uint64_t number) const {
  const std::string endpoint = life_->table.EndpointOf(number);
  for (const auto& worker : *workers_) {
    if (worker->name() == endpoint) return worker.get();
  }
  return nullptr;
}

}  // namespace baton::sim
