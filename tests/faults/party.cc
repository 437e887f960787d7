#include "tests/faults/party.h"

#include <algorithm>
#include <utility>
#include <vector>

#include "absl/strings/numbers.h"
#include "absl/strings/str_cat.h"
#include "absl/strings/str_format.h"
#include "absl/strings/str_join.h"
#include "absl/strings/str_replace.h"
#include "absl/strings/str_split.h"
#include "common/status_macros.h"

namespace baton::faults {
namespace {

constexpr const char* kOwnerNames[kOwnerStates] = {"Awaiting", "Leased", "Sealed", "Held", "Lost"};
constexpr const char* kReaderNames[kReaderStates] = {"Opening", "Pulling", "Confirming",
                                                     "Fencing", "Held",    "Lost"};

absl::StatusOr<int64_t> Number(absl::string_view word) {
  int64_t value = 0;
  if (absl::SimpleAtoi(word, &value) && value >= 0) return value;
  return absl::InvalidArgumentError(absl::StrCat("\"", word, "\" is no number"));
}

absl::StatusOr<Epoch> ParseEpoch(absl::string_view hex) {
  Epoch epoch;
  if (hex.size() == 32 && absl::SimpleHexAtoi(hex.substr(0, 16), &epoch.hi) &&
      absl::SimpleHexAtoi(hex.substr(16), &epoch.lo)) {
    return epoch;
  }
  return absl::InvalidArgumentError(absl::StrCat("\"", hex, "\" is no epoch"));
}

std::string Quoted(absl::string_view text) {
  return absl::StrCat("\"", absl::StrReplaceAll(text, {{"\\", "/"}, {"\"", "'"}, {"\n", " "}}), "\"");
}

}  // namespace

Party::Party(const Options& options, GuardedPages* pages, const Clock* clock, Say say)
    : pages_(pages),
      clock_(clock),
      say_(std::move(say)),
      owner_(pages, options.step_time, [this](const HandoffCommand& command) { driver_->Do(command); }),
      reader_(pages, options.attend_time, [this](const HandoffCommand& command) { driver_->Do(command); }) {}

absl::StatusOr<std::unique_ptr<Party>> Party::Create(const Options& options, GuardedPages* pages,
                                                     Transport* wire, const Clock* clock, Say say) {
  std::unique_ptr<Party> party(new Party(options, pages, clock, std::move(say)));
  BATON_ASSIGN_OR_RETURN(
      party->driver_, HandoffDriver::Create(options.handoff, party->epoch_, pages, wire, clock, party.get()));
  party->say_(absl::StrFormat(R"({"e": "up", "t": %.6f, "endpoint": %s, "epoch": "%s"})", party->Seconds(),
                              Quoted(wire->endpoint()), party->epoch_.ToHex()));
  return party;
}

double Party::Seconds() const {
  return absl::ToDoubleSeconds(clock_->Now() - absl::UnixEpoch());
}

absl::Status Party::Command(absl::string_view line) {
  const std::vector<absl::string_view> words = absl::StrSplit(line, ' ', absl::SkipEmpty());
  if (words.size() == 1 && words[0] == "quit") {
    done_ = true;
    return absl::OkStatus();
  }
  if (words.size() == 1 && words[0] == "status") {
    SayStatus();
    return absl::OkStatus();
  }
  if (words.size() < 3) return absl::InvalidArgumentError(absl::StrCat("no command: ", line));
  BATON_ASSIGN_OR_RETURN(const int64_t stream, Number(words[1]));
  BATON_ASSIGN_OR_RETURN(const int64_t attempt, Number(words[2]));
  const HandoffId id{{9, static_cast<uint64_t>(stream)}, {1, static_cast<uint32_t>(attempt)}};
  const absl::Status status = Run(words, id);
  Report();
  return status;
}

absl::Status Party::Run(const std::vector<absl::string_view>& words, const HandoffId& id) {
  const absl::string_view verb = words[0];
  const MonoTime now = clock_->Now();
  if (verb == "begin" && words.size() == 5) {
    BATON_ASSIGN_OR_RETURN(const Epoch reader, ParseEpoch(words[3]));
    BATON_ASSIGN_OR_RETURN(const int64_t ms, Number(words[4]));
    owned_[id] = "";
    return owner_.Begin(id, reader, now + absl::Milliseconds(ms));
  }
  if (verb == "compute" && words.size() == 5) {
    BATON_ASSIGN_OR_RETURN(const int64_t steps, Number(words[3]));
    owner_.Compute(id, std::min<int>(kSteps, static_cast<int>(steps)), words[4] == "1", now);
    return absl::OkStatus();
  }
  if (verb == "pull" && words.size() == 6) {
    BATON_ASSIGN_OR_RETURN(const Epoch owner, ParseEpoch(words[4]));
    BATON_ASSIGN_OR_RETURN(const int64_t ms, Number(words[5]));
    pulled_[id] = "";
    return reader_.Pull(id, {std::string(words[3]), "", owner, 0}, now + absl::Milliseconds(ms));
  }
  if (verb == "revoke" && words.size() == 3) {
    driver_->Do(OwnRevoke{id, "the pages are needed"});
    return absl::OkStatus();
  }
  if (verb == "cancel" && words.size() == 3) {
    reader_.Cancel(id);
    return absl::OkStatus();
  }
  return absl::InvalidArgumentError(absl::StrCat("no command: ", absl::StrJoin(words, " ")));
}

void Party::Step(absl::Duration longest) {
  const MonoTime now = clock_->Now();
  owner_.Tick(now);
  reader_.Tick(now);
  const MonoTime next = std::min(owner_.NextDeadline(), reader_.NextDeadline());
  driver_->Step(std::min(longest, std::max(absl::ZeroDuration(), next - now)));
  Report();
}

void Party::OnHandoffEvent(HandoffEvent event) {
  std::visit([this](const auto& e) { On(e); }, event);
}

void Party::On(const OwnEnded& event) {
  owner_.OnEnded(event.id);
  SayState(&owned_[event.id], "own", event.id, event.held ? "Held" : "Lost",
           absl::StrCat(", \"why\": ", Quoted(event.reason)));
}

void Party::On(const PullHeld& event) {
  reader_.OnHeld(event, clock_->Now());
  SayState(&pulled_[event.id], "read", event.id, "Held", "");
}

void Party::On(const PullLost& event) {
  reader_.OnLost(event, clock_->Now());
  SayState(&pulled_[event.id], "read", event.id, event.fenced ? "Lost" : "Fencing",
           absl::StrCat(", \"why\": ", Quoted(event.status.message())));
}

void Party::On(const PullFenced& event) {
  reader_.OnFenced(event);
  SayState(&pulled_[event.id], "read", event.id, "Lost", "");
}

void Party::Report() {
  for (const auto& [id, said] : owned_) ReportOwned(id);
  for (const auto& [id, said] : pulled_) ReportPulled(id);
}

void Party::ReportOwned(const HandoffId& id) {
  const OwnedLease* const record = driver_->owner().Find(id);
  if (record == nullptr) return;
  SayState(&owned_[id], "own", id, kOwnerNames[static_cast<int>(record->state())], "");
}

void Party::ReportPulled(const HandoffId& id) {
  const Pull* const pull = driver_->reader().Find(id);
  if (pull == nullptr) return;
  const bool busy = !pull->reads().empty() || pull->HasWork();
  const bool reading = pull->state() == ReaderState::kPulling && busy;
  SayState(&pulled_[id], "read", id, reading ? "Reading" : kReaderNames[static_cast<int>(pull->state())],
           absl::StrCat(", \"offers\": ", pull->offers()));
}

void Party::SayState(std::string* last, const char* side, const HandoffId& id, const std::string& state,
                     const std::string& more) {
  const std::string said = absl::StrCat(state, more);
  if (*last == said) return;
  *last = said;
  say_(absl::StrFormat(R"({"e": "%s", "t": %.6f, "stream": %d, "attempt": %d, "state": "%s"%s})", side,
                       Seconds(), id.stream.lo, id.attempt.n, state, more));
}

void Party::SayStatus() {
  const HandoffNode::Stats stats = driver_->stats();
  say_(absl::StrFormat(
      R"({"e": "status", "t": %.6f, "total": %d, "free": %d, "classes": "%s", "records": %d, "pulls": %d, )"
      R"("flying": %d, "wrong": %d, "late": %d, "attended": %d, "checksum": %d, "malformed": %d, "healthy": %s})",
      Seconds(), pages_->pool().size(), pages_->pool().count(PageClass::kFree), pages_->Classes(),
      stats.leases, stats.pulls, driver_->reader().bytes_in_flight(), reader_.wrong(), pages_->LateWrites(),
      reader_.attended(), stats.checksum_failures, stats.malformed, driver_->healthy() ? "true" : "false"));
}

}  // namespace baton::faults
