#pragma once

// Reads of a peer over UCX: one-sided gets where it has them (RDMA, or the kernel's copy between processes),
// else active messages that the owner answers. Bytes of gets land by themselves and are checked when they
// have; such a read cannot be recalled, and ends once nothing of it is under way.

#include <map>
#include <memory>
#include <string>

#include "services/kv_transfer/transport/ucx_node.h"

namespace baton {

class UcxPath final : public BytePath {
 public:
  static absl::StatusOr<std::unique_ptr<BytePath>> Open(UcxNode* node, const WireKey& key, UcxWay way);
  ~UcxPath() override;

  absl::string_view name() const override { return "ucx"; }
  WireResult Post(ReadBatch batch) override;
  WireResult Probe(uint64_t tag, const std::string& remote_key, size_t bytes) override;
  void Abort(uint64_t tag) override;
  bool Progress(std::vector<ReadDone>* done) override;
  bool broken() const override { return broken_; }

  // The answer to `tag` has come.
  void OnAnswer(uint64_t tag, bool refused, const void* data, size_t size);

 private:
  struct Window {
    ucp_rkey_h rkey = nullptr;
    uint64_t address = 0, bytes = 0;
  };
  struct Read {
    ReadBatch batch;
    const Window* from = nullptr;
    UcxNode::Header header;
    std::string request;  // that is sent after it
    size_t next_op = 0;
    uint64_t skip = 0;
    size_t under_way = 0;    // operations that may still touch our memory
    Staging::Buffer staged;  // of a probe by gets
    bool answered = false, aborted = false;
    absl::Status status;
  };

  explicit UcxPath(UcxNode* node) : node_(node) {}
  absl::Status Connect(const WireKey& key, UcxWay way);
  absl::StatusOr<const Window*> WindowOf(const std::string& remote_key);
  // Issues gets of `read` up to the budgets.
  void Issue(Read& read, size_t* budget);
  void Ask(Read& read);
  bool Over(const Read& read) const;
  void Check(Read& read) const;
  // Of one operation of `read`.
  static void Count(Read& read, ucs_status_ptr_t operation);
  static void OnSent(void* request, ucs_status_t status, void* read);
  static void Landed(Read* read, ucs_status_t status);

  UcxNode* const node_;
  ucp_ep_h endpoint_ = nullptr;
  bool one_sided_ = false;
  bool broken_ = false;
  uint64_t token_ = 0;
  const uint64_t id_ = RandomId128().lo;
  std::map<std::string, Window> windows_;  // by remote key
  std::map<uint64_t, std::unique_ptr<Read>> reads_;
  std::vector<ReadDone> done_;
};

}  // namespace baton
