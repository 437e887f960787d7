#pragma once

// HTTP/1.1 responses (RFC 9112) and server-sent events, from bytes that come in any pieces. Pure.

#include <functional>
#include <string>

#include "absl/status/status.h"
#include "absl/strings/string_view.h"

namespace baton::load {

inline constexpr size_t kMostHeadBytes = 64 << 10;
inline constexpr size_t kMostLineBytes = 1 << 20;

// One response: by Content-Length, chunked, or until the connection closes.
class HttpResponseParser {
 public:
  // Appends to `body` what of it `bytes` hold. INVALID_ARGUMENT where they are no HTTP; what follows the
  // response's end is passed over.
  absl::Status Add(absl::string_view bytes, std::string& body);
  // The connection was closed. UNAVAILABLE if the response has not ended.
  absl::Status Close();

  int status() const { return status_; }  // 0 until the head is there
  bool done() const { return state_ == State::kDone; }
  // The header Baton-Workers; empty if there is none.
  const std::string& workers() const { return workers_; }

 private:
  enum class State { kHead, kLength, kChunkSize, kChunk, kChunkEnd, kTrailer, kUntilClose, kDone };
  absl::Status ReadHead();
  absl::Status ReadLine(absl::string_view line);
  absl::Status AddToLine(absl::string_view& bytes);

  State state_ = State::kHead;
  int status_ = 0;
  std::string head_, line_, workers_;
  uint64_t left_ = 0;  // of the body or chunk
};

// Cuts a body into the values of its "data:" lines, and comments; event names and ids are passed over.
class EventLines {
 public:
  // Calls `on_data` for each value until it returns false, and `on_comment` for each comment.
  // INVALID_ARGUMENT for a line over kMostLineBytes.
  absl::Status Add(absl::string_view body, const std::function<bool(absl::string_view)>& on_data,
                   const std::function<void(absl::string_view)>& on_comment);

 private:
  std::string line_;
};

}  // namespace baton::load
