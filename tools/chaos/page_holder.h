#pragma once

// Takes the pages of one rank away from everybody else for a while: long requests that ignore the end of
// text, sent through the router as any client's, until the rank has few pages left. The router decides where
// they go, so ranks beside it lose pages too; that is said in docs/chaos.md.

#include <atomic>
#include <memory>
#include <string>
#include <thread>
#include <vector>

#include "absl/status/statusor.h"
#include "tools/chaos/driver.h"

namespace baton::chaos {

class PageHolder {
 public:
  static constexpr int kMostRequests = 64;

  // `target` is NAME or NAME/RANK (0 without). Returns at once; the requests start one after the other, until
  // less than `leave_percent` of the pages are free or cached. UNAVAILABLE if the router does not say which
  // model it serves.
  static absl::StatusOr<std::unique_ptr<PageHolder>> Take(Driver& driver, const std::string& target,
                                                          double leave_percent);
  ~PageHolder();  // ends the requests

 private:
  PageHolder(Driver& driver, std::string target, double leave_percent, std::string model);
  void Fill();
  bool IsFull() const;
  void Hold(int number) const;

  Driver& driver_;
  std::string process_;
  int rank_ = 0;
  double leave_percent_;
  std::string url_, model_;
  std::atomic<bool> ended_ = false;
  std::vector<std::thread> requests_;  // the filling thread's until it is joined
  std::thread filling_;
};

// The body of the request that holds pages; `number` keeps prompts apart, so that none shares a prefix.
std::string HolderRequest(const std::string& model, int number);
// Whether less than `leave_percent` of the rank's pages are free or cached.
bool IsExhausted(const std::vector<PageCount>& pages, int rank, double leave_percent);

}  // namespace baton::chaos
