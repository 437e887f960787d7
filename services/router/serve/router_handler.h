#pragma once

// Which path is answered by what. Thread-safe.

#include <memory>
#include <string>

#include "common/gate.h"
#include "services/router/http/http_types.h"
#include "services/router/serve/completion.h"

namespace baton::router {

class RouterHandler final : public HttpHandler {
 public:
  // Requests pass `gate`; once it is closed they are answered 503 and their connections closed.
  RouterHandler(const ServingContext& context, Gate& gate) : context_(context), gate_(gate) {}

  void Handle(HttpRequest request, std::shared_ptr<HttpExchange> exchange) override;
  HttpResponse ErrorResponse(int status, absl::string_view message) override;

 private:
  void Serve(ApiKind kind, HttpRequest request, std::shared_ptr<HttpExchange> exchange);
  void Resume(const std::string& event_id, std::shared_ptr<HttpExchange> exchange);
  void Refuse(HttpExchange& exchange, int status, absl::string_view message);
  HttpResponse Get(const std::string& path);
  HttpResponse Ready() const;
  std::string ModelJson() const;

  const ServingContext& context_;
  Gate& gate_;
};

}  // namespace baton::router
