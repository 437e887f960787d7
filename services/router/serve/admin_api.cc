#include "services/router/serve/admin_api.h"

#include <boost/json/parse.hpp>
#include <boost/json/value.hpp>
#include <optional>
#include <utility>

#include "absl/strings/escaping.h"
#include "absl/strings/numbers.h"
#include "absl/strings/str_cat.h"
#include "absl/strings/str_join.h"
#include "services/router/openai/api_error.h"
#include "services/router/openai/fields.h"
#include "services/router/openai/json_text.h"
#include "services/router/serve/answer.h"

namespace baton::router {
namespace {

struct Target {
  RankRef ref;
  std::string name;  // WORKER/RANK
};

std::optional<StreamId> ParseStreamId(const std::string& hex) {
  StreamId id;
  const bool good = hex.size() == 32 && absl::SimpleHexAtoi(hex.substr(0, 16), &id.hi) &&
                    absl::SimpleHexAtoi(hex.substr(16), &id.lo);
  return good ? std::optional(id) : std::nullopt;
}

std::string RankName(const std::string& worker, uint32_t rank) {
  return absl::StrCat(worker, "/", rank);
}

// By the worker's name, or the address that it is watched at.
absl::StatusOr<Target> FindTarget(const Registry& registry, const std::string& to) {
  std::string worker = to;
  uint32_t rank = 0;
  if (const size_t slash = to.rfind('/'); slash != std::string::npos) {
    worker = to.substr(0, slash);
    if (!absl::SimpleAtoi(to.substr(slash + 1), &rank))
      return absl::InvalidArgumentError(absl::StrCat("'", to, "' does not end in a rank's number"));
  }
  std::vector<std::string> known;
  for (const auto& [endpoint, state] : registry.Workers()) {
    if (state.worker == 0) continue;
    if (state.facts.name == worker || endpoint == worker)
      return Target{{state.worker, rank}, RankName(state.facts.name, rank)};
    if (state.role == WorkerRole::kDecode) known.push_back(state.facts.name);
  }
  return absl::NotFoundError(absl::StrCat("no worker is called '", worker,
                                          "'; those that decode are: ", absl::StrJoin(known, ", ")));
}

ApiError ErrorFor(const absl::Status& status) {
  int http = 503;
  if (absl::IsNotFound(status)) http = 404;
  if (absl::IsFailedPrecondition(status)) http = 409;
  if (absl::IsInvalidArgument(status)) http = 400;
  ApiError error = ErrorForHttpStatus(http, status.message());
  error.code = "not_moved";
  return error;
}

}  // namespace

std::string StreamsJson(const StreamTable& streams) {
  const std::string list = absl::StrJoin(streams.List(), ",", [](std::string* out, const auto& entry) {
    const StreamView& view = entry.second;
    absl::StrAppend(out, R"({"id":")", entry.first.ToHex(), R"(","worker":)", JsonString(view.worker),
                    R"(,"rank":)", view.at.rank, R"(,"prompt_tokens":)", view.prompt_tokens, R"(,"tokens":)",
                    view.tokens, R"(,"movable":)", view.movable.ok() ? "true" : "false");
    if (!view.movable.ok()) absl::StrAppend(out, R"(,"why_not":)", JsonString(view.movable.message()));
    absl::StrAppend(out, "}");
  });
  return absl::StrCat(R"({"streams":[)", list, "]}");
}

void ServeMigrate(const Cluster& cluster, const std::string& body, std::shared_ptr<HttpExchange> exchange) {
  boost::system::error_code bad;
  const boost::json::value json = boost::json::parse(boost::json::string_view(body.data(), body.size()), bad);
  if (bad || !json.is_object())
    return exchange->Respond(ErrorToHttp(InvalidRequest("the body must be a JSON object", "")));
  Fields fields(json.get_object());
  const std::string hex = fields.String("stream");
  const std::string to = fields.String("to");
  if (fields.error()) return exchange->Respond(ErrorToHttp(*fields.error()));
  const std::optional<StreamId> id = ParseStreamId(hex);
  if (!id) {
    return exchange->Respond(
        ErrorToHttp(InvalidRequest("'stream' must be a stream's id: 32 hexadecimal digits", "stream")));
  }
  const absl::StatusOr<Target> target = FindTarget(*cluster.registry, to);
  if (!target.ok()) return exchange->Respond(ErrorToHttp(ErrorFor(target.status())));
  std::string from;
  for (const auto& [stream, view] : cluster.streams->List()) {
    if (stream == *id) from = RankName(view.worker, view.at.rank);
  }
  const MonoTime begun = cluster.clock->Now();
  cluster.streams->Move(
      *id, target->ref, [=, clock = cluster.clock, name = target->name](absl::Status status) {
        const double ms = absl::ToDoubleMilliseconds(clock->Now() - begun);
        exchange->Post([=] {
          if (!status.ok()) return exchange->Respond(ErrorToHttp(ErrorFor(status)));
          exchange->Respond(
              {.body = absl::StrCat(R"({"stream":")", hex, R"(","from":)", JsonString(from), R"(,"to":)",
                                    JsonString(name), R"(,"ms":)", JsonFloat(static_cast<float>(ms)), "}")});
        });
      });
}

}  // namespace baton::router
