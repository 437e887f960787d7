#include "tools/load/http_response.h"

#include <algorithm>

#include "absl/strings/ascii.h"
#include "absl/strings/match.h"
#include "absl/strings/numbers.h"
#include "absl/strings/str_cat.h"
#include "absl/strings/str_split.h"
#include "absl/strings/strip.h"
#include "common/status_macros.h"

namespace baton::load {
namespace {

constexpr uint64_t kMostChunk = uint64_t{1} << 30;

absl::Status NotHttp(absl::string_view what) {
  return absl::InvalidArgumentError(absl::StrCat("the answer is no HTTP: ", what));
}

}  // namespace

absl::Status HttpResponseParser::ReadHead() {
  const std::vector<absl::string_view> lines = absl::StrSplit(head_, "\r\n");
  const std::vector<absl::string_view> first = absl::StrSplit(lines[0], absl::MaxSplits(' ', 2));
  const bool known = absl::StartsWith(first[0], "HTTP/1.") && first.size() >= 2;
  if (!known || !absl::SimpleAtoi(first[1], &status_) || status_ < 100 || status_ > 999)
    return NotHttp("its first line");
  if (status_ < 200) {  // 100 Continue and the like: the real one follows
    head_.clear();
    return absl::OkStatus();
  }
  state_ = State::kUntilClose;
  for (size_t i = 1; i < lines.size(); ++i) {
    const std::vector<absl::string_view> header = absl::StrSplit(lines[i], absl::MaxSplits(':', 1));
    if (header.size() != 2) continue;
    const absl::string_view value = absl::StripAsciiWhitespace(header[1]);
    if (absl::EqualsIgnoreCase(header[0], "transfer-encoding")) {
      if (!absl::EqualsIgnoreCase(value, "chunked")) return NotHttp("its transfer encoding");
      state_ = State::kChunkSize;
    } else if (absl::EqualsIgnoreCase(header[0], "content-length") && state_ != State::kChunkSize) {
      if (!absl::SimpleAtoi(value, &left_)) return NotHttp("its length");
      state_ = left_ == 0 ? State::kDone : State::kLength;
    } else if (absl::EqualsIgnoreCase(header[0], "baton-workers")) {
      workers_ = std::string(value);
    }
  }
  return absl::OkStatus();
}

absl::Status HttpResponseParser::ReadLine(absl::string_view line) {
  if (state_ == State::kChunkEnd) {
    state_ = State::kChunkSize;
    return line.empty() ? absl::OkStatus() : NotHttp("the end of a chunk");
  }
  if (state_ == State::kTrailer) {
    if (line.empty()) state_ = State::kDone;
    return absl::OkStatus();
  }
  const absl::string_view size = absl::StripAsciiWhitespace(line.substr(0, line.find(';')));
  if (!absl::SimpleHexAtoi(size, &left_) || left_ > kMostChunk) return NotHttp("the size of a chunk");
  state_ = left_ == 0 ? State::kTrailer : State::kChunk;
  return absl::OkStatus();
}

absl::Status HttpResponseParser::AddToLine(absl::string_view& bytes) {
  const size_t end = bytes.find('\n');
  line_.append(bytes.data(), std::min(end, bytes.size()));
  if (line_.size() > kMostHeadBytes) return NotHttp("a line without an end");
  bytes.remove_prefix(end == absl::string_view::npos ? bytes.size() : end + 1);
  if (end == absl::string_view::npos) return absl::OkStatus();
  std::string line;
  line.swap(line_);
  return ReadLine(absl::StripSuffix(line, "\r"));
}

absl::Status HttpResponseParser::Add(absl::string_view bytes, std::string& body) {
  while (!bytes.empty() && state_ != State::kDone) {
    if (state_ == State::kHead) {
      const size_t before = head_.size();
      head_.append(bytes.data(), std::min(bytes.size(), kMostHeadBytes + 4));
      const size_t end = head_.find("\r\n\r\n", before < 3 ? 0 : before - 3);
      if (end == std::string::npos) {
        const bool plausible = absl::StartsWith(head_, "HTTP/1.") || head_.size() < 7;
        if (!plausible || head_.size() > kMostHeadBytes) return NotHttp("its head");
        return absl::OkStatus();
      }
      bytes.remove_prefix(end + 4 - before);
      head_.resize(end);
      BATON_RETURN_IF_ERROR(ReadHead());
    } else if (state_ == State::kUntilClose) {
      body.append(bytes.data(), bytes.size());
      return absl::OkStatus();
    } else if (state_ == State::kLength || state_ == State::kChunk) {
      const size_t part = std::min<uint64_t>(left_, bytes.size());
      body.append(bytes.data(), part);
      bytes.remove_prefix(part);
      left_ -= part;
      if (left_ == 0) state_ = state_ == State::kLength ? State::kDone : State::kChunkEnd;
    } else {
      BATON_RETURN_IF_ERROR(AddToLine(bytes));
    }
  }
  return absl::OkStatus();
}

absl::Status HttpResponseParser::Close() {
  if (state_ == State::kUntilClose) state_ = State::kDone;
  return done() ? absl::OkStatus()
                : absl::UnavailableError("the connection was closed before the answer's end");
}

absl::Status EventLines::Add(absl::string_view body, const std::function<bool(absl::string_view)>& on_data,
                             const std::function<void(absl::string_view)>& on_comment) {
  while (!body.empty()) {
    const size_t end = body.find('\n');
    if (end == absl::string_view::npos || !line_.empty()) {
      line_.append(body.data(), std::min(end, body.size()));
      if (line_.size() > kMostLineBytes) return absl::InvalidArgumentError("an event of over 1 MB");
    }
    if (end == absl::string_view::npos) return absl::OkStatus();
    absl::string_view line = line_.empty() ? body.substr(0, end) : absl::string_view(line_);
    body.remove_prefix(end + 1);
    line = absl::StripSuffix(line, "\r");
    if (absl::ConsumePrefix(&line, ":")) on_comment(absl::StripPrefix(line, " "));
    const bool go_on = !absl::ConsumePrefix(&line, "data:") || on_data(absl::StripPrefix(line, " "));
    line_.clear();
    if (!go_on) return absl::OkStatus();
  }
  return absl::OkStatus();
}

}  // namespace baton::load
