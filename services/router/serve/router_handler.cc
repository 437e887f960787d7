#include "services/router/serve/router_handler.h"

#include <utility>

#include "absl/strings/match.h"
#include "absl/strings/str_cat.h"
#include "services/router/openai/json_text.h"
#include "services/router/serve/admin_api.h"
#include "services/router/serve/resume.h"
#include "services/router/serve/status_json.h"

namespace baton::router {
namespace {

constexpr absl::string_view kApi = "/v1/";
constexpr absl::string_view kAdmin = "/baton/";
constexpr absl::string_view kModels = "/v1/models";
constexpr absl::string_view kStreams = "/v1/streams/";
constexpr absl::string_view kMigrate = "/baton/migrate";

bool IsPostPath(const std::string& path) {
  return path == "/v1/chat/completions" || path == "/v1/completions";
}

bool IsGetPath(const std::string& path) {
  return path == "/healthz" || path == "/readyz" || path == "/health" || path == "/metrics" ||
         path == "/baton/status" || path == "/baton/streams" || path == kModels ||
         absl::StartsWith(path, absl::StrCat(kModels, "/"));
}

HttpResponse NotAllowed(const char* allowed) {
  HttpResponse response =
      ErrorToHttp(ErrorForHttpStatus(405, absl::StrCat("this path answers ", allowed, " requests only")));
  response.headers.emplace_back("Allow", allowed);
  return response;
}

HttpResponse NotLetIn(int status) {
  ApiError error =
      ErrorForHttpStatus(status, status == 401 ? "a valid API key is needed: Authorization: Bearer KEY"
                                               : "this needs an admin's API key");
  error.code = status == 401 ? "invalid_api_key" : "not_permitted";
  HttpResponse response = ErrorToHttp(error);
  if (status == 401) response.headers.emplace_back("WWW-Authenticate", "Bearer");
  return response;
}

}  // namespace

void RouterHandler::Handle(HttpRequest request, std::shared_ptr<HttpExchange> exchange) {
  const bool admin = absl::StartsWith(request.path, kAdmin);
  if (!admin && !absl::StartsWith(request.path, kApi))
    return Route({}, std::move(request), std::move(exchange));
  std::optional<Caller> caller = keys_.Identify(std::exchange(request.authorization, {}));
  if (!caller || (admin && !caller->admin)) {
    const int status = caller ? 403 : 401;
    context_.metrics->Answered(status);
    return exchange->Respond(NotLetIn(status));
  }
  Route(*std::move(caller), std::move(request), std::move(exchange));
}

void RouterHandler::Route(Caller caller, HttpRequest request, std::shared_ptr<HttpExchange> exchange) {
  if (IsPostPath(request.path)) {
    if (request.method != "POST") return exchange->Respond(NotAllowed("POST"));
    if (!request.last_event_id.empty())
      return Resume(std::move(caller), request.last_event_id, std::move(exchange));
    const ApiKind kind = request.path == "/v1/completions" ? ApiKind::kCompletion : ApiKind::kChat;
    return Serve(std::move(caller), kind, std::move(request), std::move(exchange));
  }
  if (absl::StartsWith(request.path, kStreams)) {
    if (request.method != "GET") return exchange->Respond(NotAllowed("GET"));
    const std::string named = request.path.substr(kStreams.size());
    return Resume(std::move(caller), request.last_event_id.empty() ? named : request.last_event_id,
                  std::move(exchange));
  }
  if (request.path == kMigrate) {
    if (request.method != "POST") return exchange->Respond(NotAllowed("POST"));
    return ServeMigrate(context_.cluster, request.body, std::move(exchange));
  }
  if (!IsGetPath(request.path)) {
    return exchange->Respond(ErrorToHttp(ErrorForHttpStatus(404, "there is nothing at this path")));
  }
  if (request.method != "GET" && request.method != "HEAD") return exchange->Respond(NotAllowed("GET"));
  exchange->Respond(Get(request.path));
}

void RouterHandler::Refuse(HttpExchange& exchange, int status, absl::string_view message) {
  context_.metrics->Answered(status);
  HttpResponse response = ErrorResponse(status, message);
  response.close = status == 503;
  exchange.Respond(std::move(response));
}

void RouterHandler::Resume(Caller caller, const std::string& event_id,
                           std::shared_ptr<HttpExchange> exchange) {
  std::optional<Gate::Pass> pass = gate_.Enter();
  if (!pass) return Refuse(*exchange, 503, "the router is shutting down");
  Resumption::Serve(context_, event_id, std::move(caller), std::move(exchange), *std::move(pass));
}

void RouterHandler::Serve(Caller caller, ApiKind kind, HttpRequest request,
                          std::shared_ptr<HttpExchange> exchange) {
  const auto refuse = [&](int status, absl::string_view message) { Refuse(*exchange, status, message); };
  std::optional<Gate::Pass> pass = gate_.Enter();
  if (!pass) return refuse(503, "the router is shutting down");
  if (!request.has_length) return refuse(411, "a request needs a Content-Length or a chunked body");
  if (!request.content_type.empty() &&
      !absl::StartsWithIgnoreCase(request.content_type, "application/json")) {
    return refuse(415, "the Content-Type must be application/json");
  }
  Completion::Serve(context_, std::move(caller), kind, std::move(request.body), std::move(exchange),
                    *std::move(pass));
}

HttpResponse RouterHandler::Ready() const {
  if (gate_.closed()) return {.status = 503, .content_type = "text/plain", .body = "shutting down\n"};
  if (!context_.cluster.registry->CanDecode()) {
    return {.status = 503, .content_type = "text/plain", .body = "no decode worker is available\n"};
  }
  return {.content_type = "text/plain", .body = "ready\n"};
}

std::string RouterHandler::ModelJson() const {
  return absl::StrCat(R"({"id":)", JsonString(context_.model_name),
                      R"(,"object":"model","created":0,"owned_by":"baton","max_model_len":)",
                      context_.model_context, "}");
}

HttpResponse RouterHandler::Get(const std::string& path) {
  if (path == "/healthz") return {.content_type = "text/plain", .body = "ok\n"};
  if (path == "/readyz" || path == "/health") return Ready();  // /health: what clients of other servers ask
  if (path == "/metrics")
    return {.content_type = "text/plain; version=0.0.4", .body = context_.metrics->Text()};
  if (path == "/baton/status") {
    return {.body = StatusJson(context_.cluster.registry->Workers(), context_.cluster.registry->Ranks(),
                               context_.admission->load(), context_.cluster.registry->placement())};
  }
  if (path == "/baton/streams") return {.body = StreamsJson(*context_.cluster.streams)};
  if (path == kModels) return {.body = absl::StrCat(R"({"object":"list","data":[)", ModelJson(), "]}")};
  if (path.substr(kModels.size() + 1) == context_.model_name) return {.body = ModelJson()};
  ApiError error = ErrorForHttpStatus(404, "this model does not exist here");
  error.code = "model_not_found";
  return ErrorToHttp(error);
}

HttpResponse RouterHandler::ErrorResponse(int status, absl::string_view message) {
  return ErrorToHttp(ErrorForHttpStatus(status, message));
}

}  // namespace baton::router
