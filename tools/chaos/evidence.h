#pragma once

// What one run leaves for the checks to judge. Plain data; the runner fills it, tools/chaos/checks reads it.

#include <cstdint>
#include <map>
#include <optional>
#include <string>
#include <vector>

#include "absl/time/time.h"
#include "tools/chaos/fault.h"

namespace baton::chaos {

// All times of a run are seconds after its load's start.
struct StreamRecord {
  size_t index = 0;     // of the request in the workload, the same in every run of it
  std::string request;  // the JSON body as sent, with its seed
  std::string path;     // "/v1/completions" or "/v1/chat/completions"
  std::string id;       // the response's, once it came
  std::vector<int32_t> tokens;
  std::string finish_reason;  // "length", "stop"; empty: none came
  std::string error;          // an error status or event, or how the connection broke; empty: none
  bool cancelled = false;     // by the client, as planned
  bool counted = true;        // false: warm-up
  double sent_s = 0;
  std::vector<double> token_s;       // when each event with tokens came
  std::optional<double> ended_s;     // nothing more can come
  std::vector<std::string> workers;  // that served it, as the router said: "prefill-0, decode-1"

  bool Finished() const { return !finish_reason.empty() && error.empty(); }
};

struct FaultMark {
  Fault fault;                    // its target resolved: a process, not a role
  double began_s = 0;             // when it was carried out
  std::optional<double> ended_s;  // undone, or the process was started again
  std::string failed;             // why it could not be carried out; empty: it was
};

struct ProcessView {
  std::string name, role;  // "decode-1", "decode"
  std::string http, grpc;  // host:port, empty while it is down
  std::string log;         // path on this machine; empty where there is none
  bool alive = false;
  int restarts = 0;
  std::string last_exit;  // in words; empty: it never ended
  bool gone = false;      // it ended, and is not started again
};

// Of one rank, or of a pool (rank -1): free, used, cached, pinned, pulling, quarantined, ...
struct PageCount {
  std::string process;
  int rank = 0;
  std::map<std::string, int64_t> classes;

  bool operator==(const PageCount&) const = default;
};

// A process's /metrics: {"baton_handoffs_total{outcome=\"held\",side=\"reader\"}": 12}.
using Samples = std::map<std::string, double>;

struct Snapshot {
  double at_s = 0;
  std::vector<PageCount> pages;            // of the processes that answered
  std::map<std::string, Samples> metrics;  // by process
  std::vector<std::string> silent;         // processes that did not answer
  std::string router_status;               // GET /baton/status, JSON; empty: no answer
};

struct Evidence {
  std::string label;  // variant
  double rate = 0;
  int repeat = 0;
  std::vector<StreamRecord> streams;  // by index
  std::vector<FaultMark> faults;
  std::vector<ProcessView> processes;  // at the end
  Snapshot before;                     // ready and idle, before the load
  std::vector<Snapshot> during;        // looks while the load ran: only their time and their pages
  Snapshot after;                      // when idle again, or idle_within after the last stream's end
  double load_end_s = 0;               // the last arrival
  double drained_s = 0;                // the last stream's end, or when it was given up
  bool client_kept_schedule = true;
  std::string client_lag;  // in words
  // The run's summary, flat: {"ttft_ms.p90": 312.5, "goodput_per_s": 3.9, "tenants.a.itl_ms.max": …}. What
  // had too few samples is absent.
  std::map<std::string, double> figures;
  double bin_s = 0.5;
  std::map<std::string, std::vector<std::optional<double>>> series;  // by bin: "output_tokens_per_s", …
};

struct CheckResult {
  std::string name;
  bool ok = false;
  std::string detail;  // for a person: "500 of 500", or the first thing that is wrong
};

}  // namespace baton::chaos
