#pragma once

// Which path is answered by what, and to whom: /v1/ to those with an API key, /baton/ to those whose key is
// an admin's, health and metrics to everybody. Thread-safe.

#include <memory>
#include <string>

#include "common/gate.h"
#include "services/router/http/http_types.h"
#include "services/router/serve/api_key_store.h"
#include "services/router/serve/completion.h"

namespace baton::router {

class RouterHandler final : public HttpHandler {
 public:
  // Requests pass `gate`; once it is closed they are answered 503 and their connections closed.
  RouterHandler(const ServingContext& context, ApiKeyStore& keys, Gate& gate)
      : context_(context), keys_(keys), gate_(gate) {}

  void Handle(HttpRequest request, std::shared_ptr<HttpExchange> exchange) override;
  HttpResponse ErrorResponse(int status, absl::string_view message) override;

 private:
  // With the caller's key known, or none needed.
  void Route(Caller caller, HttpRequest request, std::shared_ptr<HttpExchange> exchange);
  void Serve(Caller caller, ApiKind kind, HttpRequest request, std::shared_ptr<HttpExchange> exchange);
  void Resume(Caller caller, const std::string& event_id, std::shared_ptr<HttpExchange> exchange);
  void Refuse(HttpExchange& exchange, int status, absl::string_view message);
  HttpResponse Get(const std::string& path);
  HttpResponse Ready() const;
  std::string ModelJson() const;

  const ServingContext& context_;
  ApiKeyStore& keys_;
  Gate& gate_;
};

}  // namespace baton::router
