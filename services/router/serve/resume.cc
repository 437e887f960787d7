#include "services/router/serve/resume.h"

#include <algorithm>
#include <utility>

namespace baton::router {
namespace {

constexpr absl::Duration kAskTime = absl::Seconds(1);
constexpr size_t kMostAsked = 64;  // workers, of one choice

constexpr char kUnknown[] = "no stream is known by this event id, or it is no longer kept";

}  // namespace

void Resumption::Serve(const ServingContext& context, const std::string& event_id, Caller caller,
                       std::shared_ptr<HttpExchange> exchange, Gate::Pass pass) {
  std::optional<EventId> id = DecodeEventId(event_id);
  auto self = std::make_shared<Resumption>(context, id ? *std::move(id) : EventId(), std::move(caller),
                                           std::move(exchange), std::move(pass));
  self->Begin();
}

Resumption::Resumption(const ServingContext& context, EventId id, Caller caller,
                       std::shared_ptr<HttpExchange> exchange, Gate::Pass pass)
    : context_(context),
      id_(std::move(id)),
      caller_(std::move(caller)),
      exchange_(std::move(exchange)),
      pass_(std::move(pass)),
      searches_(id_.choices.size()) {}

void Resumption::Begin() {
  if (id_.choices.empty()) return Refuse(404, kUnknown);
  exchange_->OnClosed([self = shared_from_this()](HttpClose why) {
    if (why == HttpClose::kServerStopping) return self->Refuse(503, "the router is shutting down");
    self->over_ = true;
    self->calls_.clear();
  });
  for (auto& worker : context_.cluster.registry->Workers()) {
    if (worker.second.Usable() && !worker.second.silent) workers_.push_back(std::move(worker));
  }
  if (workers_.empty()) return Refuse(503, "no worker is available");
  for (uint32_t choice = 0; choice < searches_.size() && !over_; ++choice) {
    Ask(choice, true);
    if (searches_[choice].unanswered == 0) RoundOver(choice);
  }
}

void Resumption::Ask(uint32_t choice, bool named_only) {
  Search& search = searches_[choice];
  const auto& named = id_.choices[choice].holders;
  for (const auto& [endpoint, worker] : workers_) {
    const uint32_t tag = HolderTag(worker.epoch);
    if (named_only && std::find(named.begin(), named.end(), tag) == named.end()) continue;
    if (search.asked.size() >= kMostAsked || !search.asked.insert(worker.worker).second) continue;
    ++search.unanswered;
    calls_.push_back(context_.cluster.calls->Record(
        endpoint, ChoiceStream(id_.root, choice), caller_.id, kAskTime,
        [weak = weak_from_this(), exchange = exchange_, choice, number = worker.worker,
         fingerprint = worker.facts.fingerprint](RecordReply reply) {
          exchange->Post([weak, choice, number, fingerprint, reply = std::move(reply)]() mutable {
            if (auto self = weak.lock()) self->OnReply(choice, number, fingerprint, std::move(reply));
          });
        }));
  }
}

void Resumption::OnReply(uint32_t choice, uint64_t worker, const std::string& fingerprint,
                         RecordReply reply) {
  Search& search = searches_[choice];
  if (over_ || search.over) return;
  if (auto* record = std::get_if<RecordMessage>(&reply)) {
    search.found.push_back({std::move(*record), worker, fingerprint});
  } else if (--search.unanswered == 0) {
    RoundOver(choice);
  }
}

void Resumption::RoundOver(uint32_t choice) {
  Search& search = searches_[choice];
  if (search.found.empty()) Ask(choice, false);
  if (search.unanswered > 0) return;
  search.over = true;
  if (search.found.empty()) return Refuse(404, kUnknown);
  if (std::all_of(searches_.begin(), searches_.end(), [](const Search& one) { return one.over; })) GoOn();
}

void Resumption::GoOn() {
  ResumedAnswer resumed;
  uint32_t claim = id_.claim;
  for (uint32_t i = 0; i < searches_.size(); ++i) {
    std::optional<ResumePlan> plan = PlanResume(std::move(searches_[i].found));
    claim = std::max(claim, plan->attempt.claim);
    resumed.choices.push_back(*std::move(plan));
  }
  const std::optional<uint32_t> next = NextClaim(claim);
  std::optional<StreamCard> card = DecodeCard(resumed.choices.front().spec.card);
  if (!next || !card || card->model != context_.model_name) return Refuse(404, kUnknown);
  over_ = true;
  resumed.id = id_;
  resumed.id.claim = *next;
  resumed.card = *std::move(card);
  const auto self = shared_from_this();  // the close callback is another's from now on
  Completion::Resume(context_, caller_, std::move(resumed), exchange_, std::move(pass_));
}

void Resumption::Refuse(int status, const char* message) {
  if (std::exchange(over_, true)) return;
  ApiError error = ErrorForHttpStatus(status, message);
  if (status == 404) error.code = "stream_not_found";
  context_.metrics->Answered(status);
  exchange_->Respond(ErrorToHttp(error));
}

}  // namespace baton::router
