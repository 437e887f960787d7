#include "services/worker/worker_settings.h"

#include <sodium.h>
#include <unistd.h>

#include <algorithm>

#include "absl/strings/ascii.h"
#include "absl/strings/match.h"
#include "absl/strings/str_cat.h"
#include "absl/strings/strip.h"
#include "common/status_macros.h"
#include "engine/formats/gguf.h"
#include "engine/model/config.h"

namespace baton {
namespace {

absl::Status Bounds(absl::string_view name, int64_t value, int64_t low, int64_t high) {
  if (value >= low && value <= high) return absl::OkStatus();
  return absl::InvalidArgumentError(
      absl::StrCat("--", name, "=", value, " must be in [", low, ", ", high, "]"));
}

absl::Status CheckName(absl::string_view name) {
  const bool plain = std::all_of(name.begin(), name.end(), [](unsigned char c) {
    return absl::ascii_isalnum(c) || c == '-' || c == '_' || c == '.';
  });
  if (plain && name.size() <= 100) return absl::OkStatus();
  return absl::InvalidArgumentError("--name may hold letters, digits, '-', '_' and '.', 100 at most");
}

absl::StatusOr<KvDtype> ParseKvDtype(absl::string_view name) {
  if (name == "f16") return KvDtype::kF16;
  if (name == "bf16") return KvDtype::kBF16;
  if (name == "f32") return KvDtype::kF32;
  return absl::InvalidArgumentError(absl::StrCat("--kv_dtype=", name, " is none of f16, bf16, f32"));
}

absl::Status CheckNumbers(const WorkerSettings& s) {
  BATON_RETURN_IF_ERROR(Bounds("ranks", s.ranks, 1, 64));
  BATON_RETURN_IF_ERROR(Bounds("threads", s.threads, 1, 512));
  BATON_RETURN_IF_ERROR(Bounds("kv_memory_mb", s.kv_memory_mb, 1, 1 << 24));
  BATON_RETURN_IF_ERROR(Bounds("pages", s.pages, 0, int64_t{1} << 30));
  BATON_RETURN_IF_ERROR(Bounds("page_tokens", s.page_tokens, kAtomTokens, 1024));
  if (s.page_tokens % kAtomTokens != 0) {
    return absl::InvalidArgumentError(absl::StrCat("--page_tokens must be a multiple of ", kAtomTokens));
  }
  BATON_RETURN_IF_ERROR(Bounds("token_budget", s.token_budget, 1, 1 << 20));
  BATON_RETURN_IF_ERROR(Bounds("prefill_chunk", s.prefill_chunk, 1, 1 << 20));
  BATON_RETURN_IF_ERROR(Bounds("max_running", s.max_running, 1, 1 << 16));
  BATON_RETURN_IF_ERROR(Bounds("layer_group", s.layer_group, 1, 1024));
  BATON_RETURN_IF_ERROR(Bounds("record_memory_mb", s.record_memory_mb, 1, 1 << 20));
  if (s.record_retention < absl::ZeroDuration() || s.linger_time < absl::ZeroDuration())
    return absl::InvalidArgumentError("--record_retention and --linger_time must not be negative");
  return Bounds("emission_buffer", s.emission_buffer, 1, 1 << 20);
}

void MakeCurveKeys(ZmqOptions* wire) {
  wire->curve_public_key.assign(crypto_box_PUBLICKEYBYTES, '\0');
  wire->curve_secret_key.assign(crypto_box_SECRETKEYBYTES, '\0');
  crypto_box_keypair(reinterpret_cast<unsigned char*>(wire->curve_public_key.data()),
                     reinterpret_cast<unsigned char*>(wire->curve_secret_key.data()));
}

absl::Status CheckKeys(const WorkerSettings& settings) {
  if (settings.kv_key.empty() != settings.kv_allowed_keys.empty())
    return absl::InvalidArgumentError("--kv_key and --kv_allowed_keys go together (./baton keys --help)");
  if (!settings.kv_key.empty() && !settings.kv_curve)
    return absl::InvalidArgumentError("--kv_key needs --kv_curve");
  return absl::OkStatus();
}

bool NamesEveryInterface(absl::string_view host) {
  return host.empty() || host == "*" || host == "0.0.0.0" || host == "::" || host == "[::]";
}

// The host of "tcp://host:port".
absl::string_view HostOf(absl::string_view endpoint) {
  if (const size_t scheme = endpoint.find("://"); scheme != absl::string_view::npos)
    endpoint.remove_prefix(scheme + 3);
  return endpoint.substr(0, endpoint.rfind(':'));
}

// What others are told must lead them here.
absl::Status CheckAdvertised(const WorkerSettings& settings, const WorkerPlan& plan) {
  if (!settings.advertise_host.empty()) {
    if (!NamesEveryInterface(settings.advertise_host)) return absl::OkStatus();
    return absl::InvalidArgumentError(
        "--advertise_host names every interface: no other machine can use that");
  }
  const std::pair<absl::string_view, bool> addresses[] = {
      {"kv_listen", NamesEveryInterface(HostOf(settings.kv_listen))},
      {"grpc_listen", NamesEveryInterface(plan.server.listen.host)},
      {"http_listen", NamesEveryInterface(plan.http.host)}};
  for (const auto& [flag, everywhere] : addresses) {
    if (!everywhere) continue;
    return absl::InvalidArgumentError(absl::StrCat(
        "--", flag,
        " names every interface: give --advertise_host=NAME, by which other machines reach this one"));
  }
  return absl::OkStatus();
}

// The file's name without folders and ending: what clients call the model unless told otherwise.
std::string ModelName(absl::string_view path) {
  path = path.substr(path.rfind('/') + 1);
  return std::string(absl::StripSuffix(path, ".gguf"));
}

}  // namespace

absl::StatusOr<WorkerPlan> PlanWorker(WorkerRole role, const WorkerSettings& settings) {
  const std::string short_role = role == WorkerRole::kPrefill ? "prefill" : "decode";
  if (settings.model.empty()) return absl::InvalidArgumentError("--model=PATH is needed: a GGUF file");
  BATON_RETURN_IF_ERROR(CheckName(settings.name));
  BATON_RETURN_IF_ERROR(CheckNumbers(settings));
  if (!settings.kv_pool.empty() && !absl::StartsWith(settings.kv_pool, "unix:"))
    BATON_RETURN_IF_ERROR(ParseHostPort(settings.kv_pool).status());
  if (sodium_init() < 0) return absl::InternalError("libsodium cannot be initialised");

  WorkerPlan plan{.process = absl::StrCat("baton-", short_role)};
  BATON_ASSIGN_OR_RETURN(plan.http, ParseHostPort(settings.http_listen));
  BATON_ASSIGN_OR_RETURN(plan.server.listen, ParseHostPort(settings.grpc_listen));
  BATON_RETURN_IF_ERROR(CheckAdvertised(settings, plan));
  BATON_RETURN_IF_ERROR(CheckGrpcTls(settings.grpc_tls));
  plan.server.tls = settings.grpc_tls;
  plan.wire.bind = settings.kv_listen;
  plan.wire.advertise_host = settings.advertise_host;
  if (!(settings.kv_min_gbps >= 0)) return absl::InvalidArgumentError("--kv_min_gbps must not be negative");
  const absl::StatusOr<WireChoice> kv_wire = ParseWireChoice(settings.kv_wire);
  if (!kv_wire.ok())
    return absl::InvalidArgumentError(absl::StrCat("--kv_wire=", kv_wire.status().message()));
  plan.kv_wire = *kv_wire;
  BATON_RETURN_IF_ERROR(CheckKeys(settings));
  if (settings.kv_curve) MakeCurveKeys(&plan.wire);
  plan.wire.key_file = settings.kv_key;
  plan.wire.allowed_keys_file = settings.kv_allowed_keys;
  // Where a name is worth something, since it counts only together with the key.
  if (!settings.kv_key.empty()) plan.worker.handoff.name = settings.name;

  plan.worker.name = settings.name.empty() ? absl::StrCat(short_role, "-", getpid()) : settings.name;
  plan.worker.model = ModelName(settings.model);
  plan.worker.handoff.inexact = settings.accept_inexact_kv;
  plan.worker.core.role = role;
  plan.worker.core.emission_buffer = settings.emission_buffer;
  plan.worker.core.linger_time = settings.linger_time;
  plan.worker.core.records.retention = settings.record_retention;
  plan.worker.core.records.max_bytes = static_cast<size_t>(settings.record_memory_mb) << 20;
  plan.worker.engine.token_budget = settings.token_budget;
  plan.worker.engine.prefill_chunk = settings.prefill_chunk;
  plan.worker.engine.max_running = settings.max_running;

  plan.model.threads = settings.threads;
  plan.model.page_count = settings.pages;
  plan.model.atoms_per_page = settings.page_tokens / kAtomTokens;
  BATON_ASSIGN_OR_RETURN(plan.model.kv_dtype, ParseKvDtype(settings.kv_dtype));
  plan.model.max_batch_tokens = settings.token_budget;
  plan.model.layer_group = settings.layer_group;
  return plan;
}

absl::Status PlanPages(const WorkerSettings& settings, WorkerPlan* plan) {
  if (settings.pages > 0) return absl::OkStatus();
  BATON_ASSIGN_OR_RETURN(const std::unique_ptr<GgufFile> file, GgufFile::Open(settings.model));
  BATON_ASSIGN_OR_RETURN(const ModelConfig config, ReadModelConfig(*file));
  const KvLayout layout{.layers = config.layers,
                        .kv_heads = config.kv_heads,
                        .head_dim = config.head_dim,
                        .dtype = plan->model.kv_dtype,
                        .atoms_per_page = plan->model.atoms_per_page};
  plan->model.page_count = (settings.kv_memory_mb << 20) / static_cast<int64_t>(layout.PageBytes());
  if (plan->model.page_count > 0) return absl::OkStatus();
  return absl::InvalidArgumentError(absl::StrCat("--kv_memory_mb=", settings.kv_memory_mb,
                                                 " holds no page of ", layout.PageBytes() >> 10, " KiB"));
}

}  // namespace baton
