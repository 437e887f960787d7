#pragma once

// A client that comes back for its answer with the id of the last event that it has (docs/streams.md): asks
// the workers that keep the streams' records, those that the id names first, and goes on from what they know.
//
// Lives on its exchange's strand and is held by its close callback. Answers 404 if nobody knows the stream,
// it is another caller's, or the id is none.

#include <memory>
#include <set>
#include <string>
#include <vector>

#include "common/gate.h"
#include "services/router/http/http_types.h"
#include "services/router/serve/completion.h"
#include "services/router/serve/resume_plan.h"

namespace baton::router {

class Resumption final : public std::enable_shared_from_this<Resumption> {
 public:
  static void Serve(const ServingContext& context, const std::string& event_id, Caller caller,
                    std::shared_ptr<HttpExchange> exchange, Gate::Pass pass);

  Resumption(const ServingContext& context, EventId id, Caller caller, std::shared_ptr<HttpExchange> exchange,
             Gate::Pass pass);

 private:
  struct Search {
    std::vector<FoundRecord> found;
    std::set<uint64_t> asked;  // workers
    size_t unanswered = 0;
    bool over = false;
  };

  void Begin();
  // Those that the id names, or any; none twice.
  void Ask(uint32_t choice, bool named_only);
  void OnReply(uint32_t choice, uint64_t worker, const std::string& fingerprint, RecordReply reply);
  void RoundOver(uint32_t choice);
  void GoOn();
  void Refuse(int status, const char* message);

  const ServingContext& context_;
  EventId id_;
  const Caller caller_;
  const std::shared_ptr<HttpExchange> exchange_;
  Gate::Pass pass_;
  std::vector<std::pair<std::string, WorkerState>> workers_;
  std::vector<Search> searches_;  // of each choice
  std::vector<std::shared_ptr<Call>> calls_;
  bool over_ = false;
};

}  // namespace baton::router
