#include "services/kv_transfer/transport/ucx_path.h"

#include <spdlog/spdlog.h>

#include <algorithm>
#include <cstdio>
#include <cstdlib>
#include <cstring>
#include <utility>

#include "absl/strings/match.h"
#include "absl/strings/str_cat.h"
#include "absl/strings/str_split.h"
#include "common/status_macros.h"
#include "services/kv_transfer/transport/stream_frames.h"

namespace baton {
namespace {

constexpr size_t kMaxReads = 128;
constexpr size_t kMaxWindows = 64;
constexpr size_t kMaxUnderWay = 128;  // operations of one read
constexpr size_t kLargestGet = 1 << 20;
constexpr size_t kBytesPerProgress = 4 << 20;

struct Lanes {
  bool one_sided = false;  // not by emulation over TCP
  bool hardware = false;
};

// UCX says which transports it chose only in a text for people, one line each:
//   lane[0]:  2:rc_mlx5/mlx5_0:1.0 md[4] ... rma_bw#0 am am_bw#0
Lanes LanesOf(ucp_ep_h endpoint) {
  char* text = nullptr;
  size_t size = 0;
  FILE* const stream = open_memstream(&text, &size);
  if (stream == nullptr) return {};
  ucp_ep_print_info(endpoint, stream);
  std::fclose(stream);
  Lanes lanes;
  for (const absl::string_view line : absl::StrSplit(absl::string_view(text, size), '\n')) {
    if (!absl::StrContains(line, "lane[") || !absl::StrContains(line, " rma")) continue;
    if (!absl::StrContains(line, ":tcp/")) lanes.one_sided = true;
    if (absl::StrContains(line, ":rc_") || absl::StrContains(line, ":dc_")) lanes.hardware = true;
  }
  std::free(text);
  return lanes;
}

ucp_request_param_t WithData(void* data) {
  ucp_request_param_t param = {};
  param.op_attr_mask = UCP_OP_ATTR_FIELD_CALLBACK | UCP_OP_ATTR_FIELD_USER_DATA;
  param.user_data = data;
  return param;
}

}  // namespace

absl::StatusOr<std::unique_ptr<BytePath>> UcxPath::Open(UcxNode* node, const WireKey& key, UcxWay way) {
  if (!key.ucx.has_value()) return absl::UnavailableError("the peer has no UCX");
  std::unique_ptr<UcxPath> path(new UcxPath(node));
  BATON_RETURN_IF_ERROR(path->Connect(key, way));
  return path;
}

absl::Status UcxPath::Connect(const WireKey& key, UcxWay way) {
  BATON_ASSIGN_OR_RETURN(
      endpoint_,
      UcxEndpoint(
          node_->worker(), key.ucx->worker,
          [](void* self, ucp_ep_h, ucs_status_t) { static_cast<UcxPath*>(self)->broken_ = true; }, this));
  token_ = key.ucx->token;
  const Lanes lanes = LanesOf(endpoint_);
  one_sided_ = node_->one_sided() && (lanes.one_sided || way == UcxWay::kGets);
  if (way == UcxWay::kRdma && !lanes.hardware) return absl::UnavailableError("no RDMA reaches the peer");
  return absl::OkStatus();
}

UcxPath::~UcxPath() {
  for (const auto& [tag, read] : reads_) node_->Forget(read->header.nonce);
  for (const auto& [key, window] : windows_) ucp_rkey_destroy(window.rkey);
  if (endpoint_ == nullptr) return;
  const auto quiet = [this] {
    return std::none_of(reads_.begin(), reads_.end(), [](const auto& r) { return r.second->under_way > 0; });
  };
  if (UcxClose(node_->worker(), endpoint_, quiet)) return;
  spdlog::critical("UCX does not let go of our memory; this process must restart");
  std::_Exit(1);
}

absl::StatusOr<const UcxPath::Window*> UcxPath::WindowOf(const std::string& remote_key) {
  if (const auto known = windows_.find(remote_key); known != windows_.end()) return &known->second;
  BATON_ASSIGN_OR_RETURN(const WireKey key, DecodeWireKey(remote_key));
  if (!key.ucx.has_value()) return absl::FailedPreconditionError("a region without a UCX key");
  if (windows_.size() >= kMaxWindows) return absl::ResourceExhaustedError("too many regions of one peer");
  BATON_ASSIGN_OR_RETURN(const auto rkey, PadUcx(key.ucx->rkey, WireKey::Ucx::kMaxRkey));
  Window window{nullptr, key.ucx->address, key.bytes};
  BATON_RETURN_IF_ERROR(UcxError("remote key", ucp_ep_rkey_unpack(endpoint_, rkey->data(), &window.rkey)));
  return &(windows_[remote_key] = window);
}

WireResult UcxPath::Post(ReadBatch batch) {
  if (broken_) return WireResult::kGone;
  if (reads_.size() >= kMaxReads) return WireResult::kBusy;
  const uint64_t tag = batch.tag;
  auto read = std::make_unique<Read>();
  read->batch = std::move(batch);
  if (one_sided_) {
    const auto window = WindowOf(read->batch.remote_key);
    read->status = window.status();
    for (const CopyOp& op : read->batch.ops) {
      if (!read->status.ok()) break;
      if (op.remote_offset > (*window)->bytes || op.length > (*window)->bytes - op.remote_offset)
        read->status = absl::FailedPreconditionError("a read outside of the peer's region");
    }
    if (window.ok()) read->from = *window;
  } else {
    read->header.kind = static_cast<uint8_t>(StreamFrameKind::kRead);
    Ask(*read);
  }
  reads_[tag] = std::move(read);
  return WireResult::kOk;
}

WireResult UcxPath::Probe(uint64_t tag, const std::string& remote_key, size_t bytes) {
  auto read = std::make_unique<Read>();
  read->batch.tag = tag;
  if (one_sided_) {
    read->staged = node_->staging().Take(bytes);
    const auto window = WindowOf(remote_key);
    if (!window.ok()) {
      done_.push_back({tag, window.status()});
      return WireResult::kOk;
    }
    ucp_request_param_t param = WithData(read.get());
    param.cb.send = &OnSent;
    Count(*read, ucp_get_nbx(endpoint_, read->staged.data(), std::min<uint64_t>(bytes, (*window)->bytes),
                             (*window)->address, (*window)->rkey, &param));
  } else {
    read->header.kind = static_cast<uint8_t>(StreamFrameKind::kProbe);
    read->header.bytes = static_cast<uint32_t>(bytes);
    Ask(*read);
  }
  reads_[tag] = std::move(read);
  return WireResult::kOk;
}

void UcxPath::Ask(Read& read) {
  read.header.token = token_;
  read.header.path = id_;
  read.header.nonce = node_->Expect(read.batch.tag, this);
  ucp_request_param_t param = WithData(&read);
  param.op_attr_mask |= UCP_OP_ATTR_FIELD_FLAGS;
  param.flags = UCP_AM_SEND_FLAG_EAGER;
  read.header.address = static_cast<uint32_t>(node_->address().size());
  read.request = node_->address() + read.batch.grant;
  param.cb.send = &OnSent;
  Count(read, ucp_am_send_nbx(endpoint_, UcxNode::kRequestId, &read.header, sizeof read.header,
                              read.request.data(), read.request.size(), &param));
}

void UcxPath::Count(Read& read, ucs_status_ptr_t operation) {
  if (UCS_PTR_IS_PTR(operation)) {
    ++read.under_way;
  } else if (UCS_PTR_STATUS(operation) != UCS_OK) {
    read.status = UcxError("a read", UCS_PTR_STATUS(operation));
  }
}

void UcxPath::Landed(Read* read, ucs_status_t status) {
  --read->under_way;
  if (status != UCS_OK && read->status.ok()) read->status = UcxError("a read", status);
}

void UcxPath::OnSent(void* request, ucs_status_t status, void* read) {
  Landed(static_cast<Read*>(read), status);
  ucp_request_free(request);
}

void UcxPath::OnAnswer(uint64_t tag, bool refused, const void* data, size_t size) {
  const auto it = reads_.find(tag);
  if (it == reads_.end() || it->second->answered) return;
  Read& read = *it->second;
  node_->Forget(read.header.nonce);
  read.answered = true;
  const bool probe = read.batch.ops.empty();
  if (refused) {
    const absl::string_view why(static_cast<const char*>(data), std::min(size, kMaxRefusalBytes));
    read.status = absl::FailedPreconditionError(why);
  } else if (size != (probe ? read.header.bytes : TotalLength(read.batch.ops))) {
    read.status = absl::FailedPreconditionError("the answer has another length");
  } else if (!probe && !node_->regions()->Scatter(static_cast<const std::byte*>(data), read.batch)) {
    read.status = absl::DataLossError(kWrongBytes);
  }
}

void UcxPath::Abort(uint64_t tag) {
  const auto it = reads_.find(tag);
  if (it == reads_.end()) return;
  it->second->aborted = true;
  node_->Forget(it->second->header.nonce);
}

void UcxPath::Issue(Read& read, size_t* budget) {
  const auto& ops = read.batch.ops;
  while (read.next_op < ops.size() && read.under_way<kMaxUnderWay&& * budget> 0 && read.status.ok() &&
         !read.aborted) {
    const CopyOp& op = ops[read.next_op];
    const uint64_t length = std::min<uint64_t>(op.length - read.skip, kLargestGet);
    ucp_request_param_t param = WithData(&read);
    param.op_attr_mask |= UCP_OP_ATTR_FIELD_MEMH;
    param.memh = node_->memory(op.local_region);
    param.cb.send = &OnSent;
    Count(read,
          ucp_get_nbx(endpoint_, node_->regions()->At(op.local_region, op.local_offset + read.skip), length,
                      read.from->address + op.remote_offset + read.skip, read.from->rkey, &param));
    *budget -= std::min<size_t>(*budget, length);
    read.skip += length;
    if (read.skip < op.length) continue;
    ++read.next_op;
    read.skip = 0;
  }
}

bool UcxPath::Over(const Read& read) const {
  if (read.under_way > 0) return false;
  if (read.aborted || !read.status.ok()) return true;
  return one_sided_ ? read.next_op == read.batch.ops.size() : read.answered;
}

void UcxPath::Check(Read& read) const {
  if (read.aborted) read.status = absl::CancelledError("aborted");
  // Active messages were checked as they were stored.
  if (!read.status.ok() || !one_sided_ || read.batch.checks.empty()) return;
  const Regions& regions = *node_->regions();
  bool right = true;
  for (RunCursor cursor(&read.batch); right && !cursor.done();) {
    const RunCursor::Run run = cursor.Next();
    right = Checksum64({regions.Local(run), run.length}) == *run.checksum;
  }
  if (!right) read.status = absl::DataLossError(kWrongBytes);
}

bool UcxPath::Progress(std::vector<ReadDone>* done) {
  size_t budget = kBytesPerProgress;
  for (ReadDone& over : std::exchange(done_, {})) done->push_back(std::move(over));
  for (auto it = reads_.begin(); it != reads_.end() && budget > 0;) {
    Read& read = *it->second;
    if (one_sided_) Issue(read, &budget);
    if (!Over(read)) {
      ++it;
      continue;
    }
    Check(read);
    node_->Forget(read.header.nonce);
    done->push_back({it->first, std::move(read.status)});
    it = reads_.erase(it);
  }
  return budget == 0;
}

}  // namespace baton
