#pragma once

// This process in UCX: one worker on the handoff's thread, the registered pools, and the owner's end of
// active messages, which stand in where UCX only emulates one-sided reads (its TCP). UCX authenticates
// nobody: whoever has a region's remote key can read it, so keys travel in messages, which CURVE protects,
// and are of the pools alone.

#include <ucp/api/ucp.h>

#include <array>
#include <deque>
#include <functional>
#include <map>
#include <memory>
#include <string>
#include <vector>

#include "common/clock.h"
#include "services/kv_transfer/transport/byte_path.h"
#include "services/kv_transfer/transport/regions.h"
#include "services/kv_transfer/transport/staging.h"
#include "services/kv_transfer/transport/watch.h"
#include "services/kv_transfer/transport/wire_key.h"

namespace baton {

class UcxPath;

struct UcxOptions {
  // One-sided gets, by which whoever reaches the worker reads and, where UCX emulates them, writes wherever
  // it likes in this process: only for a fabric whose every member is trusted. Otherwise active messages
  // alone.
  bool one_sided = false;
  std::string transports = "tcp";  // as in UCX_TLS
  std::string devices = "all";     // as in UCX_NET_DEVICES
};

// Where there is RDMA, gets over it alone. Otherwise active messages over TCP, on the interface that `bind`
// ("tcp://host:port") names, or on all if it names none.
UcxOptions UcxOptionsFor(const std::string& bind, bool rdma);
// Whether this machine has RDMA.
bool HasRdma();

// How a peer's bytes are fetched. kBest: by one-sided gets, unless UCX would only emulate them over TCP; then
// by active messages. kRdma: by gets in hardware or not at all. kGets: by gets whatever they cost. Gets need
// nodes that are one_sided.
enum class UcxWay { kBest, kRdma, kGets };

// Ends as its status says; null and pointers are what ucp_*_nbx return.
absl::Status UcxError(absl::string_view what, ucs_status_t status);

// UCX reads what peers packed without being told where it ends: zeros follow it. FailedPrecondition: it is
// empty, or longer than `most` (at most 4 KiB).
using UcxBlob = std::array<char, 4096>;
absl::StatusOr<std::unique_ptr<UcxBlob>> PadUcx(const std::string& packed, size_t most);

// To the worker of this packed address; `broke` is told when it has failed.
absl::StatusOr<ucp_ep_h> UcxEndpoint(ucp_worker_h worker, const std::string& address,
                                     ucp_err_handler_cb_t broke, void* self);

// Closes an endpoint at once: what is under way on it fails. Waits until that has been said, and `quiet`;
// false: it was not within some seconds.
bool UcxClose(ucp_worker_h worker, ucp_ep_h endpoint, const std::function<bool()>& quiet);

class UcxNode {
 public:
  // `regions` and `watch` outlive it. Unavailable: UCX does not come up, and why.
  static absl::StatusOr<std::unique_ptr<UcxNode>> Start(const UcxOptions& options, const Regions* regions,
                                                        const Watch* watch);
  ~UcxNode();  // after its paths
  UcxNode(const UcxNode&) = delete;
  UcxNode& operator=(const UcxNode&) = delete;

  absl::Status Register(absl::Span<std::byte> memory);
  void UnregisterAll();
  WireKey::Ucx KeyOf(RegionId region) const;
  // Unavailable: the peer has no UCX, or cannot be reached so.
  absl::StatusOr<std::unique_ptr<BytePath>> Connect(const WireKey& key, UcxWay way);
  // Serves and progresses, a bounded amount. Returns whether there is more to do at once.
  bool Progress(MonoTime now, WireHandler* handler);
  // Before sleeping on the watch; false: there is something to do already.
  bool Arm() const;

  // For its paths.
  const Regions* regions() const { return regions_; }
  ucp_worker_h worker() const { return worker_; }
  const std::string& address() const { return address_; }
  ucp_mem_h memory(RegionId region) const { return memory_[region].handle; }
  bool one_sided() const { return options_.one_sided; }
  // The answer that bears this random number is to the path's read `tag`.
  uint64_t Expect(uint64_t tag, UcxPath* path);
  void Forget(uint64_t nonce) { expected_.erase(nonce); }
  Staging& staging() { return staging_; }

  // Of an active message, before the reader's packed address and its grant, or the bytes.
  struct Header {
    uint64_t token = 0;    // of the owner, in requests
    uint64_t nonce = 0;    // random, of one request: nobody else can answer
    uint64_t path = 0;     // random: a connection made anew is answered anew
    uint32_t bytes = 0;    // of a probe
    uint32_t address = 0;  // how long it is
    uint8_t kind = 0;      // StreamFrameKind
  };
  static constexpr unsigned kRequestId = 1, kAnswerId = 2;

 private:
  struct Memory {
    ucp_mem_h handle = nullptr;
    std::string rkey;
    uint64_t address = 0;
  };
  // A reader that we answer.
  struct Reply {
    ucp_ep_h endpoint = nullptr;
    size_t answers = 0;  // being sent
    bool broken = false;
    MonoTime used;
  };
  struct Request {
    std::string reader;  // its packed address
    Header header;
    std::string grant;
    MonoTime since;
  };
  struct Answer {
    UcxNode* node = nullptr;
    Reply* reply = nullptr;
    Header header;
    Staging::Buffer bytes;
  };

  struct Expected {
    uint64_t tag = 0;
    UcxPath* path = nullptr;
  };

  UcxNode(const UcxOptions& options, const Regions* regions, const Watch* watch);
  absl::Status Init();
  absl::Status InitContext();
  void ServeAll(WireHandler* handler);
  // Null: none can be had.
  Reply* ReplyTo(const std::string& reader, uint64_t path);
  // Closes those that broke, and if `room` the one that was idle longest.
  void CloseReplies(bool room);
  void Serve(const Request& request, Reply* reply, WireHandler* handler);
  static ucs_status_t OnRequest(void* self, const void* header, size_t header_size, void* data, size_t size,
                                const ucp_am_recv_param_t* param);
  static ucs_status_t OnAnswer(void* self, const void* header, size_t header_size, void* data, size_t size,
                               const ucp_am_recv_param_t* param);

  const UcxOptions options_;
  const Regions* const regions_;
  const Watch* const watch_;
  ucp_context_h context_ = nullptr;
  ucp_worker_h worker_ = nullptr;
  int wake_fd_ = -1;
  std::string address_;
  uint64_t token_ = 0;
  std::vector<Memory> memory_;
  std::map<uint64_t, Expected> expected_;  // active messages that answer our requests, by nonce
  std::deque<Request> requests_;
  std::map<std::pair<uint64_t, std::string>, std::unique_ptr<Reply>> replies_;  // by path and address
  MonoTime now_;
  Staging staging_;
  size_t answers_ = 0;  // being sent
  uint64_t malformed_ = 0;
};

}  // namespace baton
