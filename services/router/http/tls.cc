#include "services/router/http/tls.h"

#include <utility>

#include "absl/strings/str_cat.h"
#include "absl/time/clock.h"

namespace baton::router {
namespace {

namespace ssl = boost::asio::ssl;
constexpr absl::Duration kLookEvery = absl::Seconds(1);

absl::Status Unusable(const std::string& path, const boost::system::error_code& error) {
  return absl::InvalidArgumentError(absl::StrCat("cannot use ", path, " for TLS: ", error.message()));
}

absl::StatusOr<TlsContexts::Context> MakeContext(const TlsFiles& files) {
  auto context = std::make_shared<ssl::context>(ssl::context::tls_server);
  boost::system::error_code error;
  context->set_options(ssl::context::default_workarounds | ssl::context::no_tlsv1 | ssl::context::no_tlsv1_1,
                       error);
  context->use_certificate_chain_file(files.certificate, error);
  if (error) return Unusable(files.certificate, error);
  context->use_private_key_file(files.key, ssl::context::pem, error);
  if (error) return Unusable(files.key, error);
  if (files.client_authority.empty()) return context;
  context->load_verify_file(files.client_authority, error);
  if (error) return Unusable(files.client_authority, error);
  context->set_verify_mode(ssl::verify_peer | ssl::verify_fail_if_no_peer_cert, error);
  return context;
}

}  // namespace

TlsContexts::TlsContexts(const TlsFiles& files, std::function<void(const absl::Status&)> warn)
    : files_(files), warn_(std::move(warn)) {
  for (const std::string& path : {files.certificate, files.key, files.client_authority}) {
    if (!path.empty()) changes_.emplace_back(path);
  }
}

absl::StatusOr<std::unique_ptr<TlsContexts>> TlsContexts::Load(
    const TlsFiles& files, std::function<void(const absl::Status&)> warn) {
  auto contexts = std::unique_ptr<TlsContexts>(new TlsContexts(files, std::move(warn)));
  absl::MutexLock lock(&contexts->mutex_);
  contexts->Changed();
  contexts->looked_ = absl::Now();
  absl::StatusOr<Context> context = MakeContext(files);
  if (!context.ok()) return context.status();
  contexts->context_ = *std::move(context);
  return contexts;
}

bool TlsContexts::Changed() {
  bool changed = false;
  for (FileChange& change : changes_) changed |= change.Changed();
  return changed;
}

TlsContexts::Context TlsContexts::Current() {
  absl::MutexLock lock(&mutex_);
  const absl::Time now = absl::Now();
  if (now - looked_ < kLookEvery && now >= looked_) return context_;
  looked_ = now;
  if (!Changed()) return context_;
  if (absl::StatusOr<Context> context = MakeContext(files_); context.ok()) {
    context_ = *std::move(context);
  } else {
    warn_(context.status());
  }
  return context_;
}

}  // namespace baton::router
