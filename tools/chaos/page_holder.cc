#include "tools/chaos/page_holder.h"

#include <poll.h>

#include <boost/json.hpp>

#include "absl/strings/numbers.h"
#include "absl/strings/str_cat.h"
#include "common/status_macros.h"
#include "tools/chaos/snapshot.h"
#include "tools/ctl/http.h"
#include "tools/ctl/server.h"

namespace baton::chaos {
namespace {

constexpr int kTickMs = 50;
constexpr int kWords = 100, kAnswerTokens = 2000;

}  // namespace

std::string HolderRequest(const std::string& model, int number) {
  std::string prompt = absl::StrCat("Holder ", number, " waits.");
  for (int i = 0; i < kWords; ++i) absl::StrAppend(&prompt, " ", i * (number + 3));
  return boost::json::serialize(boost::json::object{{"model", model},
                                                    {"prompt", prompt},
                                                    {"max_tokens", kAnswerTokens},
                                                    {"ignore_eos", true},
                                                    {"stream", true}});
}

bool IsExhausted(const std::vector<PageCount>& pages, int rank, double leave_percent) {
  for (const PageCount& count : pages) {
    if (count.rank != rank) continue;
    int64_t total = 0, left = 0;
    for (const auto& [name, number] : count.classes) {
      total += number;
      if (name == "free" || name == "cached") left += number;
    }
    return static_cast<double>(left) * 100 <= leave_percent * static_cast<double>(total);
  }
  return false;
}

PageHolder::PageHolder(Driver& driver, std::string target, double leave_percent, std::string model)
    : driver_(driver),
      process_(target.substr(0, target.find('/'))),
      leave_percent_(leave_percent),
      url_(driver.url()),
      model_(std::move(model)) {
  if (process_ != target && !absl::SimpleAtoi(target.substr(process_.size() + 1), &rank_)) rank_ = 0;
}

absl::StatusOr<std::unique_ptr<PageHolder>> PageHolder::Take(Driver& driver, const std::string& target,
                                                             double leave_percent) {
  BATON_ASSIGN_OR_RETURN(const std::string model, ctl::ServedModel({.url = driver.url()}));
  std::unique_ptr<PageHolder> holder(new PageHolder(driver, target, leave_percent, model));
  holder->filling_ = std::thread([raw = holder.get()] { raw->Fill(); });
  return holder;
}

PageHolder::~PageHolder() {
  ended_ = true;
  filling_.join();
  for (std::thread& request : requests_) request.join();
}

void PageHolder::Fill() {
  while (!ended_ && requests_.size() < kMostRequests) {
    if (!IsFull())
      requests_.emplace_back([this, number = static_cast<int>(requests_.size())] { Hold(number); });
    poll(nullptr, 0, kTickMs);
  }
}

bool PageHolder::IsFull() const {
  const auto metrics = driver_.Get(process_, "/metrics");
  return metrics.ok() && IsExhausted(PagesOf(process_, ParseMetrics(*metrics)), rank_, leave_percent_);
}

// Again when one is done or refused, until the end.
void PageHolder::Hold(int number) const {
  const auto given_up = [this] { return ended_.load(); };
  while (!ended_) {
    const auto answer = ctl::FetchStream(
        {url_ + "/v1/completions", HolderRequest(model_, number), absl::Seconds(60), given_up},
        [this](absl::string_view) { return !ended_.load(); });
    if (!answer.ok() || answer->code != 200) poll(nullptr, 0, 4 * kTickMs);
  }
}

}  // namespace baton::chaos
