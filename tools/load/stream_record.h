#pragma once

// What became of one request, as the client saw it. Plain data.

#include <cstdint>
#include <string>
#include <vector>

#include "common/clock.h"

namespace baton::load {

// The `error` of a request for which no connection was free.
inline constexpr char kNoConnection[] = "no connection was free";

enum class Outcome {
  kCompleted,   // ended as the API says, with tokens
  kCancelled,   // by the client, as planned
  kConnect,     // no connection
  kHttpStatus,  // an answer other than 200
  kTimeout,     // one of the client's deadlines
  kMidStream,   // an error event, or bytes that are no event
  kDisconnect,  // closed before its end
  kShort,       // ended without a finish reason, or with fewer tokens than asked for although EOS is ignored
  kNotSent,     // no connection was free, or the turn before failed
  kUnfinished,  // still running when the run was stopped
};

struct Arrival {
  MonoTime at;
  int tokens = 0;  // that one event brought
};

struct StreamRecord {
  size_t index = 0;  // in the plan
  MonoTime scheduled, sent, ended;
  std::vector<Arrival> arrivals;
  Outcome outcome = Outcome::kNotSent;
  int http_status = 0;
  std::string error;                                  // in words, where there is one
  std::string finish_reason;                          // empty: none came
  int64_t input_tokens = 0;                           // as the server counted, or as wanted
  int64_t output_tokens = 0;                          // as the server counted, or as they arrived
  std::string response_id, path, request_body, text;  // the last two only where they are kept
  std::vector<int32_t> token_ids;                     // only where they are asked for
  std::vector<std::string> workers;  // that served it, one after the other, where the server says

  bool Sent() const { return sent != MonoTime(); }
};

// "connect", "timeout", ... and of kHttpStatus the status: "429". Empty for kCompleted and kCancelled.
std::string ErrorKind(const StreamRecord& record);

}  // namespace baton::load
