#pragma once

// What a RemoteKey of FastWire says: every way in which the region can be read. It travels only in messages,
// which CURVE protects: with it the bytes can be read. A
// checksum tells a damaged one; a hostile peer can make its own.

#include <optional>
#include <string>

#include "absl/status/statusor.h"
#include "common/ids.h"
#include "common/shared_memory.h"

namespace baton {

struct WireKey {
  Id128 process;  // of this Transport: another one, another life
  struct Shared {
    SharedMemoryName memory;
    uint64_t offset = 0;  // of the region within it
    bool operator==(const Shared&) const = default;
  };
  std::optional<Shared> shared;
  struct Stream {
    std::string address;  // "host:port"; empty host: as the messages' endpoint
    Id128 token;
    bool operator==(const Stream&) const = default;
  };
  std::optional<Stream> stream;
  struct Ucx {
    std::string worker, rkey;  // as UCX packed them, of at most kMaxWorker and kMaxRkey bytes
    uint64_t address = 0;      // of the region in its process
    uint64_t token = 0;        // that requests must bear
    static constexpr size_t kMaxWorker = 3072, kMaxRkey = 512;
    bool operator==(const Ucx&) const = default;
  };
  std::optional<Ucx> ucx;
  uint64_t bytes = 0;  // of the region
  bool operator==(const WireKey&) const = default;
};

std::string EncodeWireKey(const WireKey& key);
// InvalidArgument: not one of ours.
absl::StatusOr<WireKey> DecodeWireKey(const std::string& text);

}  // namespace baton
