#include "tests/sim/world.h"

#include <algorithm>
#include <utility>

namespace baton::sim {

World::World(const WorldOptions& options, Coverage* coverage, bool print_trace)
    : options_(options),
      prng_(options.seed),
      queue_(options.topology.nodes()),
      trace_(print_trace),
      coverage_(coverage),
      network_(&queue_, prng_.Fork(), coverage, &trace_, options.topology.nodes()),
      calls_(&network_),
      hub_(&network_, options.topology.nodes()),
      context_{&options_, &queue_, &network_, &calls_, &hub_, coverage, &trace_, &checker_} {}

World::~World() = default;

void World::Build() {
  const Topology& topology = options_.topology;
  hub_.early_fence = options_.mutation == Mutation::kEarlyFence;
  for (NodeId node = 1; node < topology.nodes(); ++node) {
    queue_.SetClockOffset(node, prng_.Between(absl::ZeroDuration(), absl::Hours(1000)));
  }
  for (int i = 0; i < topology.workers(); ++i) {
    const NodeId node = topology.worker(i);
    const WorkerRole role = topology.is_prefill(node) ? WorkerRole::kPrefill : WorkerRole::kDecode;
    workers_.push_back(std::make_unique<SimWorker>(context_, node, role, &book_));
    workers_.back()->Start();
  }
  for (int i = 0; i < topology.routers; ++i) {
    routers_.push_back(std::make_unique<SimRouter>(context_, topology.router(i), &workers_));
    routers_.back()->Start();
  }
  faults_ = std::make_unique<Faults>(context_, prng_.Fork(), &workers_, &routers_,
                                     [this](int router) { OnRouterPaused(router); });
}

WorldResult World::Run() {
  requests_ = DrawRequests(options_, prng_.Fork());
  const absl::Status oracle = AskOracle(options_, &requests_);
  checker_.Require(oracle.ok(), "the oracle failed: ", std::string(oracle.message()));
  if (!checker_.failed()) {
    Build();
    // The first reports are in before the first requests and faults.
    const absl::Duration warm_up = absl::Milliseconds(250);
    queue_.After(kWorld, warm_up, [this] { faults_->Schedule(); });
    for (const Request& request : requests_) {
      clients_.push_back(std::make_unique<Client>(context_, &request));
      Client* client = clients_.back().get();
      client->on_lost = [this](Client* lost) { return Reconnect(lost); };
      queue_.After(kWorld, warm_up + request.arrives, [this, client] { Arrive(client); });
    }
    queue_.After(kWorld, absl::Milliseconds(250), [this] { Poll(); });
    while (!done_ && !checker_.failed() && queue_.RunOne()) {
    }
    Conclude();
  }
  WorldResult result;
  result.seed = options_.seed;
  result.failure = checker_.failure();
  result.events = queue_.events_run();
  result.trace_hash = trace_.hash();
  result.virtual_time = queue_.now() - absl::UnixEpoch();
  result.streams = static_cast<int>(clients_.size());
  for (const auto& client : clients_) result.finished += client->finished();
  return result;
}

void World::Arrive(Client* client) {
  const int router = static_cast<int>(prng_.Below(routers_.size()));
  const Request& request = client->request();
  client->Connect(router);
  trace_.Add(queue_.now(), absl::StrCat("client", request.index), "arrives", request.spec.tokens.size(),
             " tokens, ", request.expected.size(), " expected, at router ", router);
  routers_[router]->Connect(client, network_.Delay());
  if (request.cancel_after == absl::InfiniteDuration()) return;
  queue_.After(kWorld, request.cancel_after, [this, client] {
    if (client->ended()) return;
    coverage_->Hit("fault/client goes away");
    client->GoAway();
    SimRouter* its = routers_[client->router].get();
    queue_.AfterAnyLife(its->node(), network_.Delay(),
                        [its, client] { its->OnClientGone(client->request().stream); });
  });
}

bool World::Reconnect(Client* client) {
  if (!client->request().reconnects || client->ended() || client->claim() > 3) return false;
  const int next = (client->router + 1) % static_cast<int>(routers_.size());
  if (!routers_[next]->alive()) return false;
  coverage_->Hit("fault/client reconnects");
  client->Connect(next);
  routers_[next]->Connect(client, prng_.Between(absl::Milliseconds(1), absl::Milliseconds(300)));
  return true;
}

void World::OnRouterPaused(int router) {
  for (const auto& client : clients_) {
    if (client->router != router || client->ended() || client->claim() == 0) continue;
    queue_.After(kWorld, absl::Seconds(1), [this, client = client.get(), router, claim = client->claim()] {
      if (client->ended() || client->claim() != claim || !Reconnect(client)) return;
      // The old router learns of it when it wakes up.
      SimRouter* zombie = routers_[router].get();
      queue_.AfterAnyLife(zombie->node(), network_.Delay(),
                          [zombie, client] { zombie->OnClientGone(client->request().stream); });
    });
  }
}

bool World::AllEnded() const {
  return std::all_of(clients_.begin(), clients_.end(), [](const auto& client) { return client->ended(); });
}

std::string World::WhyNotAtBaseline() const {
  for (const auto& router : routers_) {
    if (std::string why = router->WhyNotAtBaseline(); !why.empty()) return why;
  }
  for (const auto& worker : workers_) {
    if (std::string why = worker->WhyNotAtBaseline(); !why.empty()) return why;
  }
  if (calls_.CountExcept("watch") != 0)
    return absl::StrCat(calls_.CountExcept("watch"), " calls are left in the network");
  return "";
}

void World::Poll() {
  queue_.After(kWorld, absl::Milliseconds(250), [this] { Poll(); });
  const MonoTime end_by = absl::UnixEpoch() + options_.faults.active + kEndWithin;
  if (!AllEnded()) {
    for (const auto& client : clients_) {
      checker_.Require(queue_.now() < end_by || client->ended(), "client", client->request().index,
                       ": its stream never ended");
    }
    return;
  }
  if (!faults_->healed()) return;
  if (settled_by_ == absl::InfiniteFuture()) settled_by_ = queue_.now() + kSettleWithin;
  const std::string why = WhyNotAtBaseline();
  done_ = why.empty();
  checker_.Require(done_ || queue_.now() < settled_by_, "not back at baseline: ", why);
}

void World::Conclude() {
  for (const auto& worker : workers_) {
    worker->ReportTransitions();
    if (options_.faults.calm) {
      const SimWorker::Totals totals = worker->totals();
      coverage_->Hit("calm/pulls held", totals.pulled_held);
      coverage_->Hit("calm/pulls lost", totals.pulled_lost);
    }
  }
  if (!options_.faults.calm) return;
  coverage_->Hit("calm/worlds");
  for (const auto& client : clients_) {
    checker_.Require(client->finished(), "client", client->request().index,
                     ": failed though nothing went wrong: ", std::string(client->status().message()));
  }
}

WorldResult RunSeed(uint64_t seed, Mutation mutation, Coverage* coverage, bool print_trace) {
  WorldOptions options = DrawOptions(seed);
  options.mutation = mutation;
  return World(options, coverage, print_trace).Run();
}

}  // namespace baton::sim
