#pragma once

// Reads of a peer over a TCP stream of its StreamServer: bytes are received where they belong and checked
// while they are still in the cache. An aborted read's bytes are received elsewhere, so it completes at once.

#include <map>
#include <memory>
#include <optional>
#include <string>

#include "services/kv_transfer/transport/byte_path.h"
#include "services/kv_transfer/transport/regions.h"
#include "services/kv_transfer/transport/stream_frames.h"
#include "services/kv_transfer/transport/tcp_socket.h"
#include "services/kv_transfer/transport/watch.h"
#include "services/kv_transfer/transport/wire_key.h"

namespace baton {

class StreamPath final : public BytePath {
 public:
  // Connects to the host of `endpoint` where that is a number, else to the host that the key names. `local`
  // and `watch` outlive the path.
  static absl::StatusOr<std::unique_ptr<BytePath>> Open(const WireKey& key, const std::string& endpoint,
                                                        const Regions* local, const Watch* watch);
  ~StreamPath() override;

  absl::string_view name() const override { return "tcp"; }
  WireResult Post(ReadBatch batch) override;
  WireResult Probe(uint64_t tag, const std::string& remote_key, size_t bytes) override;
  void Abort(uint64_t tag) override;
  bool Progress(std::vector<ReadDone>* done) override;
  bool broken() const override { return broken_; }

 private:
  struct Read {
    explicit Read(ReadBatch b) : batch(std::move(b)), cursor(&batch), length(TotalLength(batch.ops)) {}
    Read(const Read&) = delete;
    ReadBatch batch;
    RunCursor cursor;  // of what is to be checked next
    uint64_t length = 0;
    uint64_t received = 0, checked = 0;
    std::optional<RunCursor::Run> run;  // next to be checked
    size_t op = 0;                      // where the next byte goes
    uint64_t skip = 0;
    bool right = true;
  };

  StreamPath(TcpSocket socket, std::string hello, const Regions* local, const Watch* watch);
  void Break();
  bool Flush();
  // Receives once; the bytes received, 0: none now.
  size_t Receive(std::vector<ReadDone>* done);
  bool TakeHeader(size_t* count);
  std::vector<iovec> Parts(const Read& read) const;
  void Landed(Read& read, uint64_t count) const;
  void FinishFrame(std::vector<ReadDone>* done);

  const TcpSocket socket_;
  const Regions* const local_;
  const Watch* const watch_;
  std::string out_;
  bool blocked_ = true;  // until connected
  bool broken_ = false;
  std::map<uint64_t, std::unique_ptr<Read>> reads_;
  std::string head_;                        // of the frame that arrives, so far
  std::optional<StreamFrameHeader> frame_;  // that arrives
  Read* landing_ = nullptr;                 // the read it belongs to; null: its bytes go nowhere
  uint64_t left_ = 0;                       // of the frame
  std::string refusal_;
  std::unique_ptr<std::byte[]> scratch_;
  std::vector<ReadDone> done_;
};

}  // namespace baton
