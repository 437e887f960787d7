#include "tools/chaos/bad_streams.h"

#include <boost/json.hpp>

#include "absl/strings/str_cat.h"
#include "tools/chaos/command.h"
#include "tools/chaos/run_checks.h"
#include "tools/ctl/files.h"

namespace baton::chaos {
namespace {

namespace json = boost::json;

constexpr size_t kMostStreams = 100;
constexpr double kNear = 5;

json::array FaultsNear(const StreamRecord& stream, const Evidence& evidence) {
  json::array faults;
  for (const FaultMark& mark : evidence.faults) {
    const bool before = mark.ended_s && *mark.ended_s < stream.sent_s - kNear;
    const bool after = stream.ended_s && mark.began_s > *stream.ended_s + kNear;
    if (before || after || !mark.failed.empty()) continue;
    json::object fault{{"at_s", mark.began_s}, {"what", Describe(mark.fault)}};
    if (mark.ended_s) fault["ended_s"] = *mark.ended_s;
    faults.push_back(std::move(fault));
  }
  return faults;
}

// The very request, to the router of a cluster that runs then.
std::string Resend(const StreamRecord& stream) {
  const Command command{
      {"curl", "-sN", "-H", "Content-Type: application/json", "--data-binary", stream.request}, ""};
  return absl::StrCat(ToShell(command), " \"${BATON_URL:-http://127.0.0.1:8000}", stream.path, "\"");
}

std::string Line(const StreamRecord& stream, const Evidence& evidence, const StreamRecord* oracle,
                 std::optional<size_t> difference) {
  json::object object{{"index", stream.index},
                      {"id", stream.id},
                      {"error", stream.error},
                      {"finish_reason", stream.finish_reason},
                      {"sent_s", stream.sent_s},
                      {"path", stream.path},
                      {"request", stream.request},
                      {"tokens", json::value_from(stream.tokens)},
                      {"resend", Resend(stream)},
                      {"workers", json::value_from(stream.workers)},
                      {"faults", FaultsNear(stream, evidence)}};
  if (stream.ended_s) object["ended_s"] = *stream.ended_s;
  if (oracle != nullptr) object["reference"] = json::value_from(oracle->tokens);
  if (difference) object["first_difference"] = *difference;
  return absl::StrCat(json::serialize(object), "\n");
}

}  // namespace

std::string BadStreams(const Evidence& evidence, const std::vector<StreamRecord>& reference) {
  std::vector<std::string> wrong, broken;
  for (const StreamRecord& stream : evidence.streams) {
    const StreamRecord* oracle = stream.index < reference.size() ? &reference[stream.index] : nullptr;
    std::optional<size_t> difference;
    if (oracle != nullptr) difference = FirstDifference(stream, *oracle);
    const bool bad = !stream.error.empty() || !stream.ended_s;
    if (difference)
      wrong.push_back(Line(stream, evidence, oracle, difference));
    else if (bad)
      broken.push_back(Line(stream, evidence, oracle, std::nullopt));
  }
  wrong.insert(wrong.end(), broken.begin(), broken.end());
  std::string text;
  for (size_t i = 0; i < wrong.size() && i < kMostStreams; ++i) absl::StrAppend(&text, wrong[i]);
  return text;
}

absl::Status KeepBadStreams(const Evidence& evidence, const std::vector<StreamRecord>& reference,
                            const std::string& path) {
  const std::string text = BadStreams(evidence, reference);
  return text.empty() ? absl::OkStatus() : ctl::WriteFileAtomically(path, text);
}

}  // namespace baton::chaos
