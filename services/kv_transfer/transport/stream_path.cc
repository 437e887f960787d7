#include "services/kv_transfer/transport/stream_path.h"

#include <algorithm>
#include <utility>

#include "absl/strings/numbers.h"
#include "common/checksum.h"
#include "common/status_macros.h"

namespace baton {
namespace {

constexpr size_t kMaxReads = 128;
constexpr size_t kBytesPerReceive = 256 << 10;  // checked before they leave the cache
constexpr size_t kBytesPerProgress = 4 << 20;
constexpr size_t kMaxParts = 256;

}  // namespace

absl::StatusOr<std::unique_ptr<BytePath>> StreamPath::Open(const WireKey& key, const std::string& endpoint,
                                                           const Regions* local, const Watch* watch) {
  if (!key.stream.has_value()) return absl::UnavailableError("the peer serves no streams");
  const std::string& named = key.stream->address;
  const size_t colon = named.rfind(':');
  uint32_t port = 0;
  if (colon == std::string::npos || !absl::SimpleAtoi(named.substr(colon + 1), &port) || port > 65535) {
    return absl::UnavailableError("the peer's stream has no address");
  }
  auto address = TcpAddress::Parse(HostOfEndpoint(endpoint), static_cast<uint16_t>(port));
  if (!address.ok()) address = TcpAddress::Parse(named.substr(0, colon), static_cast<uint16_t>(port));
  BATON_RETURN_IF_ERROR(address.status());
  BATON_ASSIGN_OR_RETURN(TcpSocket socket, TcpSocket::Connect(*address));
  return std::unique_ptr<BytePath>(
      new StreamPath(std::move(socket), EncodeHello(key.stream->token), local, watch));
}

StreamPath::StreamPath(TcpSocket socket, std::string hello, const Regions* local, const Watch* watch)
    : socket_(std::move(socket)),
      local_(local),
      watch_(watch),
      out_(std::move(hello)),
      scratch_(std::make_unique<std::byte[]>(kBytesPerReceive)) {
  watch_->Set(socket_.fd(), true);
}

StreamPath::~StreamPath() {
  watch_->Remove(socket_.fd());
}

WireResult StreamPath::Post(ReadBatch batch) {
  if (broken_) return WireResult::kGone;
  if (reads_.size() >= kMaxReads) return WireResult::kBusy;
  if (batch.grant.size() > kMaxGrantBytes) {
    done_.push_back({batch.tag, absl::FailedPreconditionError("the grant is too long")});
    return WireResult::kOk;
  }
  out_ += EncodeHeader({StreamFrameKind::kRead, batch.tag, static_cast<uint32_t>(batch.grant.size())});
  out_ += batch.grant;
  const uint64_t tag = batch.tag;
  reads_[tag] = std::make_unique<Read>(std::move(batch));
  return WireResult::kOk;
}

WireResult StreamPath::Probe(uint64_t tag, const std::string&, size_t bytes) {
  const auto wanted = static_cast<uint32_t>(bytes);
  out_ += EncodeHeader({StreamFrameKind::kProbe, tag, sizeof wanted});
  out_.append(reinterpret_cast<const char*>(&wanted), sizeof wanted);
  ReadBatch nowhere;
  nowhere.tag = tag;
  reads_[tag] = std::make_unique<Read>(std::move(nowhere));
  reads_[tag]->length = bytes;
  return WireResult::kOk;
}

void StreamPath::Abort(uint64_t tag) {
  auto it = reads_.find(tag);
  if (it == reads_.end()) return;
  if (landing_ == it->second.get()) landing_ = nullptr;
  reads_.erase(it);
  if (!broken_) out_ += EncodeHeader({StreamFrameKind::kCancel, tag, 0});
  done_.push_back({tag, absl::CancelledError("aborted")});
}

void StreamPath::Break() {
  broken_ = true;
  landing_ = nullptr;
  for (const auto& [tag, read] : std::exchange(reads_, {}))
    done_.push_back({tag, absl::UnavailableError("the stream broke")});
}

bool StreamPath::Flush() {
  bool blocked = false;
  while (!out_.empty() && !blocked) {
    const iovec part = {out_.data(), out_.size()};
    const int64_t sent = socket_.Send({&part, 1});
    if (sent < 0) return false;
    blocked = sent == 0;
    out_.erase(0, static_cast<size_t>(sent));
  }
  if (blocked != blocked_) watch_->Set(socket_.fd(), blocked);
  blocked_ = blocked;
  return true;
}

bool StreamPath::Progress(std::vector<ReadDone>* done) {
  size_t budget = kBytesPerProgress;
  if (!broken_ && !Flush()) Break();
  while (!broken_ && budget > 0) {
    const size_t count = Receive(done);
    if (count == 0) break;
    budget -= std::min(budget, count);
  }
  for (ReadDone& over : std::exchange(done_, {})) done->push_back(std::move(over));
  return budget == 0;
}

bool StreamPath::TakeHeader(size_t* count) {
  char buffer[kFrameHeaderBytes];
  const iovec part = {buffer, kFrameHeaderBytes - head_.size()};
  const int64_t got = socket_.Receive({&part, 1});
  *count = got > 0 ? static_cast<size_t>(got) : 0;
  if (got < 0) return false;
  head_.append(buffer, *count);
  if (head_.size() < kFrameHeaderBytes) return true;
  frame_ = DecodeHeader(head_.data());
  head_.clear();
  refusal_.clear();
  left_ = frame_->length;
  const auto it = reads_.find(frame_->tag);
  const bool data = frame_->kind == StreamFrameKind::kData;
  if (!data && (frame_->kind != StreamFrameKind::kRefused || left_ > kMaxRefusalBytes)) return false;
  landing_ = it == reads_.end() ? nullptr : it->second.get();
  return landing_ == nullptr || !data || landing_->length == left_;
}

std::vector<iovec> StreamPath::Parts(const Read& read) const {
  std::vector<iovec> parts;
  size_t most = kBytesPerReceive;
  uint64_t skip = read.skip;
  for (size_t i = read.op; i < read.batch.ops.size() && most > 0 && parts.size() < kMaxParts; ++i) {
    const CopyOp& op = read.batch.ops[i];
    const size_t length = std::min<size_t>(op.length - skip, most);
    parts.push_back({local_->At(op.local_region, op.local_offset + skip), length});
    most -= length;
    skip = 0;
  }
  return parts;
}

void StreamPath::Landed(Read& read, uint64_t count) const {
  read.received += count;
  while (count > 0) {
    const uint64_t in_op = std::min(count, read.batch.ops[read.op].length - read.skip);
    read.skip += in_op;
    count -= in_op;
    if (read.skip < read.batch.ops[read.op].length) break;
    ++read.op;
    read.skip = 0;
  }
  if (read.batch.checks.empty()) return;
  while (read.right && (read.run.has_value() || !read.cursor.done())) {
    if (!read.run.has_value()) read.run = read.cursor.Next();
    if (read.checked + read.run->length > read.received) return;
    read.right = Checksum64({local_->Local(*read.run), read.run->length}) == *read.run->checksum;
    read.checked += read.run->length;
    read.run.reset();
  }
}

size_t StreamPath::Receive(std::vector<ReadDone>* done) {
  size_t count = 0;
  if (!frame_.has_value()) {
    if (!TakeHeader(&count)) Break();
    if (!broken_ && frame_.has_value() && left_ == 0) FinishFrame(done);
    return count;
  }
  const bool data = frame_->kind == StreamFrameKind::kData;
  const bool lands = data && landing_ != nullptr && !landing_->batch.ops.empty();
  std::vector<iovec> parts;
  if (lands) {
    parts = Parts(*landing_);
  } else {
    parts.push_back({scratch_.get(), std::min<size_t>(left_, kBytesPerReceive)});
  }
  const int64_t got = socket_.Receive(parts);
  if (got < 0) Break();
  if (got <= 0) return 0;
  count = static_cast<size_t>(got);
  left_ -= count;
  if (lands) Landed(*landing_, count);
  if (!data) refusal_.append(reinterpret_cast<const char*>(scratch_.get()), count);
  if (left_ == 0) FinishFrame(done);
  return count;
}

void StreamPath::FinishFrame(std::vector<ReadDone>* done) {
  const StreamFrameHeader frame = *std::exchange(frame_, std::nullopt);
  if (landing_ == nullptr) return;
  absl::Status status;
  if (frame.kind == StreamFrameKind::kRefused) {
    status = absl::FailedPreconditionError(refusal_);
  } else if (!landing_->right) {
    status = absl::DataLossError(kWrongBytes);
  }
  done->push_back({frame.tag, std::move(status)});
  reads_.erase(frame.tag);
  landing_ = nullptr;
}

}  // namespace baton
