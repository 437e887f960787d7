#include "services/kv_transfer/transport/stream_server.h"

#include <algorithm>
#include <array>
#include <utility>

#include "absl/strings/str_cat.h"
#include "common/status_macros.h"

namespace baton {
namespace {

constexpr size_t kMaxReaders = 1024;
constexpr size_t kMaxStrangers = 32;  // connections that have not shown the token; full: the oldest goes
constexpr absl::Duration kTokenWithin = absl::Seconds(2);
constexpr int kMaxAccepts = 8;  // at once, so that those who come together are heard before they are dropped
constexpr size_t kMaxAsked = 160;  // of one reader
constexpr size_t kMaxRead = 64 << 20;
constexpr size_t kMaxProbe = 4 << 20;
constexpr size_t kBytesPerSend = 512 << 10;
constexpr size_t kBytesPerProgress = 4 << 20;
constexpr size_t kMaxParts = 256;  // of one system call

const std::array<char, kBytesPerSend> kZeros = {};

}  // namespace

absl::StatusOr<std::unique_ptr<StreamServer>> StreamServer::Listen(const ZmqOptions& options,
                                                                   const Regions* regions,
                                                                   const Watch* watch) {
  BATON_ASSIGN_OR_RETURN(const TcpAddress wanted, TcpAddress::Parse(HostOfEndpoint(options.bind), 0));
  BATON_ASSIGN_OR_RETURN(TcpSocket listener, TcpSocket::Listen(wanted));
  BATON_ASSIGN_OR_RETURN(const TcpAddress bound, listener.Bound());
  const std::string host = bound.any() ? OwnHost(bound) : bound.host();
  return std::unique_ptr<StreamServer>(
      new StreamServer(std::move(listener), absl::StrCat(host, ":", bound.port()), regions, watch));
}

StreamServer::StreamServer(TcpSocket listener, std::string address, const Regions* regions,
                           const Watch* watch)
    : listener_(std::move(listener)),
      address_(std::move(address)),
      token_(RandomId128()),
      regions_(regions),
      watch_(watch) {
  watch_->Set(listener_.fd());
}

StreamServer::~StreamServer() {
  DropReaders();
  watch_->Remove(listener_.fd());
}

void StreamServer::DropReaders() {
  for (const auto& [fd, reader] : readers_) watch_->Remove(fd);
  readers_.clear();
}

void StreamServer::DropOldestStranger() {
  auto oldest = readers_.end();
  for (auto it = readers_.begin(); it != readers_.end(); ++it) {
    if (!it->second.known && (oldest == readers_.end() || it->second.peer < oldest->second.peer)) oldest = it;
  }
  if (oldest == readers_.end()) return;
  watch_->Remove(oldest->first);
  readers_.erase(oldest);
}

bool StreamServer::Accept(MonoTime now) {
  for (int accepted = 0; accepted < kMaxAccepts; ++accepted) {
    TcpSocket socket = listener_.Accept();
    if (!socket.valid()) return false;
    const auto strangers =
        std::count_if(readers_.begin(), readers_.end(), [](const auto& r) { return !r.second.known; });
    if (readers_.size() >= kMaxReaders || strangers >= static_cast<ptrdiff_t>(kMaxStrangers))
      DropOldestStranger();
    if (readers_.size() >= kMaxReaders) continue;
    const int fd = socket.fd();
    watch_->Set(fd);
    Reader& reader = readers_[fd];
    reader.socket = std::move(socket);
    reader.peer = ++last_peer_;
    reader.since = now;
  }
  return true;
}

bool StreamServer::Progress(MonoTime now, WireHandler* handler) {
  bool more = Accept(now);
  for (auto it = readers_.begin(); it != readers_.end();) {
    size_t budget = kBytesPerProgress;
    Reader& reader = it->second;
    const bool late = !reader.known && now - reader.since > kTokenWithin;
    if (!late && Receive(reader, handler) && Serve(reader, &budget, handler)) {
      more |= budget == 0;
      ++it;
    } else {
      watch_->Remove(it->first);
      it = readers_.erase(it);
    }
  }
  return more;
}

bool StreamServer::Receive(Reader& reader, WireHandler* handler) {
  std::array<char, 16384> buffer;
  while (reader.asked.size() < kMaxAsked) {
    const iovec part = {buffer.data(), buffer.size()};
    const int64_t count = reader.socket.Receive({&part, 1});
    if (count < 0) return false;
    if (count == 0) return true;
    reader.in.append(buffer.data(), count);
    if (!Parse(reader, handler)) return false;
  }
  return true;
}

bool StreamServer::Parse(Reader& reader, WireHandler* handler) {
  size_t at = 0;
  if (!reader.known) {
    if (reader.in.size() < kHelloBytes) return true;
    if (reader.in.compare(0, kHelloBytes, EncodeHello(token_)) != 0) {
      handler->OnMalformed(reader.peer, "a stream without the token");
      return false;
    }
    reader.known = true;
    at = kHelloBytes;
  }
  while (reader.in.size() - at >= kFrameHeaderBytes) {
    const StreamFrameHeader header = DecodeHeader(reader.in.data() + at);
    const bool cancel = header.kind == StreamFrameKind::kCancel && header.length == 0;
    const bool known =
        cancel || header.kind == StreamFrameKind::kRead || header.kind == StreamFrameKind::kProbe;
    if (!known || header.length > kMaxGrantBytes) {
      handler->OnMalformed(reader.peer, "not a request of a stream");
      return false;
    }
    if (reader.in.size() - at - kFrameHeaderBytes < header.length) break;
    if (cancel) {
      std::erase_if(reader.asked, [&](const Request& r) { return r.header.tag == header.tag; });
    } else {
      reader.asked.push_back({header, reader.in.substr(at + kFrameHeaderBytes, header.length)});
    }
    at += kFrameHeaderBytes + header.length;
  }
  reader.in.erase(0, at);
  return true;
}

void StreamServer::Answer(Reader& reader, WireHandler* handler) {
  const Request request = std::move(reader.asked.front());
  reader.asked.pop_front();
  StreamFrameHeader header{StreamFrameKind::kData, request.header.tag, 0};
  std::string refusal;
  reader.ranges.clear();
  reader.range = reader.skip = reader.zeros = reader.head_sent = 0;
  if (request.header.kind == StreamFrameKind::kProbe) {
    uint32_t bytes = 0;
    std::memcpy(&bytes, request.grant.data(), std::min(sizeof bytes, request.grant.size()));
    reader.zeros = header.length = std::min<uint32_t>(bytes, kMaxProbe);
  } else {
    auto ranges = handler->OnRead(reader.peer, request.grant);
    const auto total = ranges.ok() ? regions_->Check(*ranges, kMaxRead) : ranges.status();
    if (total.ok()) {
      header.length = static_cast<uint32_t>(*total);
      reader.ranges = *std::move(ranges);
    } else {
      header.kind = StreamFrameKind::kRefused;
      refusal = std::string(total.status().message().substr(0, kMaxRefusalBytes));
      header.length = static_cast<uint32_t>(refusal.size());
    }
  }
  reader.head = EncodeHeader(header) + refusal;
}

std::vector<iovec> StreamServer::Parts(const Reader& reader, size_t most) const {
  std::vector<iovec> parts;
  if (reader.head_sent < reader.head.size()) {
    parts.push_back(
        {const_cast<char*>(reader.head.data()) + reader.head_sent, reader.head.size() - reader.head_sent});
  }
  if (reader.zeros > 0) {
    parts.push_back(
        {const_cast<char*>(kZeros.data()), std::min<size_t>({reader.zeros, kZeros.size(), most})});
  }
  uint64_t skip = reader.skip;
  for (size_t i = reader.range; i < reader.ranges.size() && most > 0 && parts.size() < kMaxParts; ++i) {
    const ByteRange& range = reader.ranges[i];
    const size_t length = std::min<size_t>(range.length - skip, most);
    parts.push_back({regions_->At(range.region, range.offset + skip), length});
    most -= length;
    skip = 0;
  }
  return parts;
}

void StreamServer::Advance(Reader& reader, uint64_t sent) {
  const uint64_t head = std::min<uint64_t>(sent, reader.head.size() - reader.head_sent);
  reader.head_sent += head;
  sent -= head;
  const uint64_t zeros = std::min(sent, reader.zeros);
  reader.zeros -= zeros;
  sent -= zeros;
  while (reader.range < reader.ranges.size()) {
    const uint64_t left = reader.ranges[reader.range].length - reader.skip;
    if (sent < left) break;
    sent -= left;
    ++reader.range;
    reader.skip = 0;
  }
  reader.skip += sent;
}

bool StreamServer::Serve(Reader& reader, size_t* budget, WireHandler* handler) {
  bool blocked = false;
  while (*budget > 0 && (reader.answering() || !reader.asked.empty())) {
    if (!reader.answering()) Answer(reader, handler);
    const int64_t sent = reader.socket.Send(Parts(reader, std::min(*budget, kBytesPerSend)));
    if (sent < 0) return false;
    blocked = sent == 0;
    if (blocked) break;
    Advance(reader, static_cast<uint64_t>(sent));
    *budget -= std::min<size_t>(*budget, static_cast<size_t>(sent));
  }
  const bool full = reader.asked.size() >= kMaxAsked;
  if (blocked != reader.blocked || full != reader.full) watch_->Set(reader.socket.fd(), blocked, !full);
  reader.blocked = blocked;
  reader.full = full;
  return true;
}

}  // namespace baton
