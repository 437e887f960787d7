#pragma once

// The frames of a byte stream (stream_path.h reads, stream_server.h serves), little-endian:
//   hello     [8 bytes "batonkv1"][16 bytes of token]                      once, from the reader
//   request   [kind 'R' or 'P'][8 tag][4 length][a grant, or for P 4 bytes: how many]
//   cancel    [kind 'C'][8 tag][4 zero]                                    of a request that is no longer
//   wanted answer    [kind 'D' or 'X'][8 tag][4 length][the bytes, or why not]
// The token is the owner's and came in a message, which CURVE protects; the stream itself is in the clear.

#include <cstdint>
#include <cstring>
#include <string>

#include "absl/strings/string_view.h"
#include "common/ids.h"

namespace baton {

inline constexpr absl::string_view kStreamMagic = "batonkv1";
inline constexpr size_t kHelloBytes = 24;
inline constexpr size_t kFrameHeaderBytes = 13;
inline constexpr size_t kMaxGrantBytes = 4096;
inline constexpr size_t kMaxRefusalBytes = 256;

enum class StreamFrameKind : uint8_t {
  kRead = 'R',
  kProbe = 'P',
  kCancel = 'C',
  kData = 'D',
  kRefused = 'X'
};

struct StreamFrameHeader {
  StreamFrameKind kind = StreamFrameKind::kData;
  uint64_t tag = 0;
  uint32_t length = 0;
};

inline std::string EncodeHello(const Id128& token) {
  std::string out(kStreamMagic);
  out.append(reinterpret_cast<const char*>(&token.hi), 8);
  out.append(reinterpret_cast<const char*>(&token.lo), 8);
  return out;
}

inline std::string EncodeHeader(const StreamFrameHeader& header) {
  std::string out(1, static_cast<char>(header.kind));
  out.append(reinterpret_cast<const char*>(&header.tag), 8);
  out.append(reinterpret_cast<const char*>(&header.length), 4);
  return out;
}

// `bytes` are kFrameHeaderBytes.
inline StreamFrameHeader DecodeHeader(const char* bytes) {
  StreamFrameHeader header;
  header.kind = static_cast<StreamFrameKind>(bytes[0]);
  std::memcpy(&header.tag, bytes + 1, 8);
  std::memcpy(&header.length, bytes + 9, 4);
  return header;
}

}  // namespace baton
