#include "services/router/router.h"

#include <spdlog/spdlog.h>

#include <filesystem>
#include <utility>

#include "absl/strings/str_cat.h"
#include "common/gate.h"
#include "common/metrics.h"
#include "engine/formats/gguf.h"
#include "services/router/http/server.h"
#include "services/router/serve/drain_mover.h"
#include "services/router/serve/router_handler.h"

namespace baton::router {
namespace {

constexpr absl::Duration kFlushTime = absl::Seconds(2);  // for answers' last bytes to be read

struct LoadedText {
  std::unique_ptr<Tokenizer> tokenizer;
  std::unique_ptr<ChatTemplate> chat_template;
  uint64_t context = 0;
};

absl::StatusOr<LoadedText> LoadText(const std::string& path) {
  absl::StatusOr<std::unique_ptr<GgufFile>> file = GgufFile::Open(path);
  if (!file.ok()) return file.status();
  LoadedText text;
  auto tokenizer = Tokenizer::FromGguf(**file);
  if (!tokenizer.ok()) return tokenizer.status();
  text.tokenizer = *std::move(tokenizer);
  const auto architecture = (*file)->GetString("general.architecture");
  if (!architecture.ok()) return architecture.status();
  const auto context = (*file)->GetInt(absl::StrCat(*architecture, ".context_length"));
  if (!context.ok()) return context.status();
  if (*context < 2) return absl::InvalidArgumentError("the model's context length is below 2 tokens");
  text.context = static_cast<uint64_t>(*context);
  if (const auto source = (*file)->GetString("tokenizer.chat_template"); source.ok()) {
    auto parsed = ChatTemplate::Parse(*source);
    if (!parsed.ok()) return parsed.status();
    text.chat_template = *std::move(parsed);
  }
  return text;
}

// What the pages of all decode ranks in service hold; 0: unknown, of some or all.
uint64_t DecodeTokens(const Registry& registry) {
  uint64_t tokens = 0;
  for (const RankView& rank : registry.Ranks()) {
    if (rank.role != WorkerRole::kDecode || !rank.healthy || rank.draining) continue;
    const uint64_t held = rank.total_pages * rank.page_tokens;
    if (held == 0) return 0;
    tokens += held;
  }
  return tokens;
}

}  // namespace

struct Router::Impl {
  Impl(const RouterConfig& config, const Clock& clock, std::unique_ptr<ApiKeyStore> api_keys)
      : router_metrics(metrics),
        admission(config.admission, clock, [this] { return DecodeTokens(registry); }),
        calls(config.calls),
        registry(config.registry, calls, clock),
        keys(std::move(api_keys)),
        handler(context, *keys, gate) {}

  void AddPlacementGauges() {
    metrics.AddCollector([this](MetricSnapshot& snapshot) {
      const PlacementStatus placement = registry.placement();
      snapshot.Gauge("baton_router_policy", "1 for the policy that places streams.")
          .Add(1, {{"policy", placement.policy}});
      snapshot.Gauge("baton_router_index_pairs", "Prefix blocks of all ranks, as they told of them.")
          .Add(double(placement.prefixes.pairs));
      snapshot.Gauge("baton_router_index_bytes", "Memory of the prefix index.")
          .Add(double(placement.prefixes.bytes));
      snapshot.Counter("baton_router_placed_prompt_tokens_total", "Prompt tokens of placed streams.")
          .Add(double(placement.counts.prompt_tokens));
      snapshot
          .Counter("baton_router_placed_held_tokens_total",
                   "Those that the rank which was to compute them held.")
          .Add(double(placement.counts.held_tokens));
    });
  }

  void AddGauges() {
    metrics.AddCollector([this](MetricSnapshot& snapshot) {
      const AdmissionGate::Load load = admission.load();
      snapshot.Gauge("baton_router_inflight_requests", "Admitted and not yet answered.")
          .Add(double(load.inflight));
      snapshot.Gauge("baton_router_inflight_limit", "Requests that may be worked on at once now.")
          .Add(double(load.limit));
      snapshot.Gauge("baton_router_queued_requests", "Waiting for admission.").Add(double(load.queued));
      snapshot.Gauge("baton_router_connections", "Open client connections.")
          .Add(server ? server->connections() : 0);
      snapshot.Gauge("baton_router_worker_usable", "1 if streams are placed on the worker.");
      for (const auto& [endpoint, state] : registry.Workers()) {
        snapshot.Add(state.Usable() && !state.draining ? 1 : 0,
                     {{"endpoint", endpoint}, {"worker", state.facts.name}});
      }
    });
  }

  // Every call has ended and every request is gone before the server's loop, which they post to, is
  // destroyed.
  void Stop() {
    discovery.reset();
    router_count.reset();
    drain_mover.reset();
    if (server != nullptr) server->Stop(absl::ZeroDuration(), absl::ZeroDuration());
    calls.Shutdown();
    server.reset();
  }

  LoadedText text;
  std::string model_name;
  Metrics metrics;
  RouterMetrics router_metrics;
  AdmissionGate admission;
  WorkerCalls calls;
  Registry registry;
  StreamTable streams;
  Gate gate;
  ServingContext context;
  std::unique_ptr<ApiKeyStore> keys;
  RouterHandler handler;
  std::unique_ptr<HttpServer> server;
  std::unique_ptr<Discovery> discovery;
  std::unique_ptr<Discovery> router_count;
  std::unique_ptr<DrainMover> drain_mover;
};

Router::Router(std::unique_ptr<Impl> impl) : impl_(std::move(impl)) {}
Router::~Router() {
  impl_->Stop();
}

absl::StatusOr<std::unique_ptr<Router>> Router::Start(const RouterConfig& config, const Clock& clock) {
  absl::StatusOr<LoadedText> text = LoadText(config.model_path);
  if (!text.ok()) {
    return absl::Status(text.status().code(), absl::StrCat("cannot use the model ", config.model_path, ": ",
                                                           text.status().message()));
  }
  absl::StatusOr<std::unique_ptr<ApiKeyStore>> keys = ApiKeyStore::Open(config.api_keys_file, clock);
  if (!keys.ok()) return keys.status();
  auto impl = std::make_unique<Impl>(config, clock, *std::move(keys));
  if (const absl::Status policy = impl->registry.SetPolicy(config.policy); !policy.ok()) return policy;
  impl->text = *std::move(text);
  impl->model_name = config.model_name.empty() ? std::filesystem::path(config.model_path).stem().string()
                                               : config.model_name;
  impl->context = {.text = {impl->text.tokenizer.get(), impl->text.chat_template.get(),
                            LongestTokenBytes(*impl->text.tokenizer)},
                   .model_name = impl->model_name,
                   .model_context = impl->text.context,
                   .max_prompt_tokens = config.max_prompt_tokens,
                   .request_timeout = config.request_timeout,
                   .max_answer_bytes = config.max_answer_bytes,
                   .event_ids = config.event_ids,
                   .parse = config.parse,
                   .session = config.session,
                   .cluster = {&impl->registry, &impl->calls, &clock, &impl->streams},
                   .admission = &impl->admission,
                   .metrics = &impl->router_metrics};
  auto server = HttpServer::Start(
      config.host, config.port, config.io_threads, config.http, config.tls,
      [](const absl::Status& status) { spdlog::warn("{}", std::string(status.message())); }, impl->handler);
  if (!server.ok()) return server.status();
  impl->server = *std::move(server);
  impl->AddGauges();
  impl->AddPlacementGauges();
  impl->drain_mover =
      std::make_unique<DrainMover>(config.drain_moves, &impl->registry, &impl->streams, &clock);
  impl->discovery = std::make_unique<Discovery>(
      config.discovery,
      [raw = impl.get()](const std::vector<std::string>& endpoints) {
        spdlog::info("watching {} workers", endpoints.size());
        raw->registry.SetEndpoints(endpoints);
      },
      [](const absl::Status& status) { spdlog::warn("{}", std::string(status.message())); });
  impl->admission.SetRouters(config.routers);
  if (!config.routers_dns.empty()) {
    impl->router_count = std::make_unique<Discovery>(
        DiscoveryConfig{.dns_name = config.routers_dns},
        [raw = impl.get()](const std::vector<std::string>& endpoints) {
          spdlog::info("{} routers are alive", endpoints.size());
          raw->admission.SetRouters(endpoints.size());
        },
        [](const absl::Status& status) { spdlog::warn("{}", std::string(status.message())); });
  }
  return std::unique_ptr<Router>(new Router(std::move(impl)));
}

uint16_t Router::port() const {
  return impl_->server->port();
}
const std::string& Router::model_name() const {
  return impl_->model_name;
}
absl::Status Router::SetPolicy(const std::string& text) {
  return impl_->registry.SetPolicy(text);
}
bool Router::CanDecode() const {
  return impl_->registry.CanDecode();
}
int64_t Router::open_requests() const {
  return impl_->gate.inside();
}
uint32_t Router::connections() const {
  return impl_->server->connections();
}

bool Router::Drain(absl::Duration grace) {
  const bool finished = impl_->gate.Drain(grace);
  impl_->server->Stop(finished ? kFlushTime : absl::ZeroDuration(), kFlushTime);
  return finished;
}

}  // namespace baton::router
