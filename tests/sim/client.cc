#include "tests/sim/client.h"

#include <utility>

namespace baton::sim {

uint32_t Client::Connect(int to_router) {
  router = to_router;
  next_ = 0;
  return ++claim_;
}

void Client::GoAway() {
  gone_ = true;
  End(absl::CancelledError("the client went away"));
}

bool Client::Hears(uint32_t claim, absl::string_view what) {
  if (claim != claim_ || gone_) return false;
  context_.checker->Require(!ended_, who(), ": ", std::string(what), " after the end of its stream");
  return !ended_;
}

void Client::OnToken(uint32_t claim, const router::StreamToken& token) {
  if (!Hears(claim, "a token")) return;
  Checker& checker = *context_.checker;
  checker.Require(token.position == next_, who(), ": position ", token.position, " instead of ", next_);
  const std::vector<TokenId>& expected = request_->expected;
  const bool right = token.position < expected.size() && expected[token.position] == token.token;
  checker.Require(right, who(), ": wrong token ", token.token, " at position ", token.position, " of ",
                  expected.size());
  if (token.position < received_.size()) {
    context_.coverage->Hit("client/token again after reconnection");
  } else {
    received_.push_back(token.token);
  }
  ++next_;
}

void Client::OnFinish(uint32_t claim, router::StreamFinish reason) {
  if (!Hears(claim, "a finish")) return;
  const auto expected = request_->expected_finish == FinishReason::kStop ? router::StreamFinish::kStopToken
                                                                         : router::StreamFinish::kLength;
  context_.checker->Require(next_ == request_->expected.size(), who(), ": finished after ", next_,
                            " tokens of ", request_->expected.size());
  context_.checker->Require(reason == expected, who(), ": finished for another reason than the oracle");
  End(absl::OkStatus());
}

void Client::OnFail(uint32_t claim, absl::Status status) {
  if (!Hears(claim, "an error")) return;
  context_.checker->Require(!status.ok() && !status.message().empty(), who(), ": failed without a reason");
  context_.checker->Require(!absl::IsInternal(status), who(),
                            ": failed by an error of ours: ", std::string(status.message()));
  End(std::move(status));
}

void Client::OnQuietEnd(uint32_t claim) {
  if (!Hears(claim, "a quiet end")) return;
  context_.checker->Fail(who(), ": its stream ended without a word, though nobody else serves it");
  End(absl::AbortedError("quiet end"));
}

void Client::OnConnectionLost(uint32_t claim) {
  if (!Hears(claim, "a lost connection")) return;
  if (on_lost && on_lost(this)) return;
  End(absl::UnavailableError("the router vanished"));
}

void Client::End(absl::Status status) {
  if (ended_) return;
  ended_ = true;
  status_ = std::move(status);
  context_.coverage->Hit(absl::StrCat("client/end/", absl::StatusCodeToString(status_.code())));
  context_.Note(who(), "ends", status_.ok() ? absl::string_view("finished") : status_.message());
}

}  // namespace baton::sim
