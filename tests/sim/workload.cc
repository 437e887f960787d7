#include "tests/sim/workload.h"

#include <algorithm>
#include <utility>

#include "engine/engine_core.h"

namespace baton::sim {
namespace {

SamplingParams DrawSampling(Prng& prng, int vocab) {
  SamplingParams sampling;
  sampling.temperature = prng.Chance(400) ? 0.0f : static_cast<float>(prng.Range(2, 15)) / 10;
  if (prng.Chance(300)) sampling.top_k = static_cast<int32_t>(prng.Range(2, 10));
  if (prng.Chance(300)) sampling.top_p = 0.8f;
  if (prng.Chance(300)) sampling.repetition_penalty = 1.1f;
  if (prng.Chance(200)) sampling.frequency_penalty = 0.5f;
  if (prng.Chance(200)) sampling.presence_penalty = 0.5f;
  if (prng.Chance(100)) sampling.logit_bias.emplace_back(static_cast<TokenId>(prng.Below(vocab)), 1.5f);
  sampling.seed = prng.Next();
  return sampling;
}

class OracleSink final : public EngineEventSink {
 public:
  explicit OracleSink(std::vector<Request>* requests) : requests_(requests) {}

  void OnEngineEvent(EngineEvent event) override {
    if (const auto* token = std::get_if<TokenEvent>(&event)) {
      Request& request = (*requests_)[token->id - 1];
      request.expected.push_back(token->token);
      request.expected_finish = token->finish;
      if (token->finish != FinishReason::kNone) ++finished_;
    } else if (const auto* failed = std::get_if<FailedEvent>(&event)) {
      status_ = failed->status;
    }
  }
  size_t finished() const { return finished_; }
  const absl::Status& status() const { return status_; }

 private:
  std::vector<Request>* requests_;
  size_t finished_ = 0;
  absl::Status status_;
};

}  // namespace

std::vector<Request> DrawRequests(const WorldOptions& options, Prng prng) {
  const int vocab = options.runner.vocab;
  std::vector<std::vector<TokenId>> prefixes(3);
  for (auto& prefix : prefixes) {
    prefix.resize(prng.Range(8, options.max_prompt));
    for (TokenId& token : prefix) token = static_cast<TokenId>(1 + prng.Below(vocab - 1));
  }
  std::vector<Request> requests(options.requests);
  for (int i = 0; i < options.requests; ++i) {
    Request& request = requests[i];
    request.index = i;
    request.stream = prng.Id();
    const int64_t length = prng.Range(1, options.max_prompt);
    const auto& prefix = prefixes[prng.Below(prefixes.size())];
    if (prng.Chance(600))
      request.spec.tokens.assign(prefix.begin(), prefix.begin() + std::min<int64_t>(length, prefix.size()));
    while (static_cast<int64_t>(request.spec.tokens.size()) < length) {
      request.spec.tokens.push_back(static_cast<TokenId>(1 + prng.Below(vocab - 1)));
    }
    request.spec.prompt_tokens = length;
    request.spec.sampling = DrawSampling(prng, vocab);
    request.spec.max_tokens = prng.Range(1, options.max_new);
    request.spec.stop_tokens = {options.runner.eos};
    request.spec.ignore_eos = prng.Chance(300);
    request.spec.priority = prng.Chance(200) ? 1 : 0;
    request.arrives = prng.Between(absl::ZeroDuration(), options.arrivals);
    if (prng.Chance(options.cancel_per_mille))
      request.cancel_after = prng.Between(absl::Microseconds(100), absl::Milliseconds(400));
    if (prng.Chance(options.slow_per_mille))
      request.token_time = prng.Between(absl::Milliseconds(1), absl::Milliseconds(900));
    if (prng.Chance(options.deadline_per_mille))
      request.timeout = prng.Between(absl::Milliseconds(2), absl::Milliseconds(900));
    request.reconnects = prng.Chance(500);
  }
  return requests;
}

absl::Status AskOracle(const WorldOptions& options, std::vector<Request>* requests) {
  FakeRunnerOptions fake = options.runner;
  fake.pages = 0;
  for (const Request& request : *requests) {
    fake.pages += fake.layout.PagesFor(request.spec.tokens.size() + request.spec.max_tokens) + 1;
  }
  FakeRunner runner(fake);
  OracleSink sink(requests);
  EngineCore core(EngineOptions{.max_running = 64, .prefix_cache = false}, &runner, &sink);
  SeqId id = 0;
  for (const Request& request : *requests) core.Handle(ServeCommand{++id, request.spec}, absl::UnixEpoch());
  for (int steps = 0; sink.finished() < requests->size(); ++steps) {
    if (!sink.status().ok()) return sink.status();
    if (!core.Step(absl::UnixEpoch()) || steps > 100000)
      return absl::InternalError("the oracle's engine is stuck");
  }
  return absl::OkStatus();
}

}  // namespace baton::sim
