#include "services/kv_transfer/transport/ucx_node.h"

#include <algorithm>
#include <cstring>
#include <filesystem>
#include <utility>

#include "absl/cleanup/cleanup.h"
#include "absl/strings/str_cat.h"
#include "common/clock.h"
#include "common/ids.h"
#include "common/status_macros.h"
#include "services/kv_transfer/transport/stream_frames.h"
#include "services/kv_transfer/transport/tcp_socket.h"
#include "services/kv_transfer/transport/ucx_path.h"

namespace baton {
namespace {

constexpr size_t kMaxRequests = 512;  // queued; more are dropped, and asked for again by their readers
constexpr size_t kMaxAnswers = 16;    // being sent
constexpr size_t kMaxAnswersOfOne = 4;
constexpr size_t kMaxReplies = 256;
constexpr absl::Duration kOldRequest = absl::Seconds(2);  // when its reader has asked again
constexpr size_t kMaxRead = 8 << 20;
constexpr int kSpins = 64;
constexpr absl::Duration kCloseWithin = absl::Seconds(5);

}  // namespace

absl::Status UcxError(absl::string_view what, ucs_status_t status) {
  if (status == UCS_OK) return absl::OkStatus();
  return absl::UnavailableError(absl::StrCat("UCX: ", what, ": ", ucs_status_string(status)));
}

absl::StatusOr<std::unique_ptr<UcxBlob>> PadUcx(const std::string& packed, size_t most) {
  if (packed.empty() || packed.size() > most)
    return absl::FailedPreconditionError("the peer's UCX key has no length that it could have");
  auto blob = std::make_unique<UcxBlob>();
  std::copy(packed.begin(), packed.end(), blob->begin());
  return blob;
}

absl::StatusOr<ucp_ep_h> UcxEndpoint(ucp_worker_h worker, const std::string& address,
                                     ucp_err_handler_cb_t broke, void* self) {
  BATON_ASSIGN_OR_RETURN(const auto padded, PadUcx(address, WireKey::Ucx::kMaxWorker));
  ucp_ep_params_t params = {};
  params.field_mask = UCP_EP_PARAM_FIELD_REMOTE_ADDRESS | UCP_EP_PARAM_FIELD_ERR_HANDLING_MODE |
                      UCP_EP_PARAM_FIELD_ERR_HANDLER;
  params.address = reinterpret_cast<const ucp_address_t*>(padded->data());
  params.err_mode = UCP_ERR_HANDLING_MODE_PEER;
  params.err_handler.cb = broke;
  params.err_handler.arg = self;
  ucp_ep_h endpoint = nullptr;
  BATON_RETURN_IF_ERROR(UcxError("endpoint", ucp_ep_create(worker, &params, &endpoint)));
  return endpoint;
}

bool UcxClose(ucp_worker_h worker, ucp_ep_h endpoint, const std::function<bool()>& quiet) {
  ucp_request_param_t param = {};
  param.op_attr_mask = UCP_OP_ATTR_FIELD_FLAGS;
  param.flags = UCP_EP_CLOSE_FLAG_FORCE;
  const ucs_status_ptr_t closing = ucp_ep_close_nbx(endpoint, &param);
  const SteadyClock clock;
  const MonoTime give_up = clock.Now() + kCloseWithin;
  const auto closed = [&] {
    return !UCS_PTR_IS_PTR(closing) || ucp_request_check_status(closing) != UCS_INPROGRESS;
  };
  while (!(closed() && quiet()) && clock.Now() < give_up) ucp_worker_progress(worker);
  const bool done = closed() && quiet();
  if (UCS_PTR_IS_PTR(closing)) ucp_request_free(closing);
  return done;
}

bool HasRdma() {
  std::error_code error;
  return std::filesystem::directory_iterator("/sys/class/infiniband", error) !=
         std::filesystem::directory_iterator();
}

UcxOptions UcxOptionsFor(const std::string& bind, bool rdma) {
  if (rdma) return {.one_sided = true, .transports = "ib", .devices = "all"};
  const std::string interface = InterfaceOf(HostOfEndpoint(bind));
  return {.one_sided = false, .transports = "tcp", .devices = interface.empty() ? "all" : interface};
}

absl::StatusOr<std::unique_ptr<UcxNode>> UcxNode::Start(const UcxOptions& options, const Regions* regions,
                                                        const Watch* watch) {
  std::unique_ptr<UcxNode> node(new UcxNode(options, regions, watch));
  BATON_RETURN_IF_ERROR(node->Init());
  return node;
}

UcxNode::UcxNode(const UcxOptions& options, const Regions* regions, const Watch* watch)
    : options_(options), regions_(regions), watch_(watch), staging_(kMaxAnswers) {}

absl::Status UcxNode::InitContext() {
  ucp_config_t* config = nullptr;
  BATON_RETURN_IF_ERROR(UcxError("configuration", ucp_config_read(nullptr, nullptr, &config)));
  const absl::Cleanup release = [config] { ucp_config_release(config); };
  BATON_RETURN_IF_ERROR(UcxError("TLS", ucp_config_modify(config, "TLS", options_.transports.c_str())));
  BATON_RETURN_IF_ERROR(
      UcxError("NET_DEVICES", ucp_config_modify(config, "NET_DEVICES", options_.devices.c_str())));
  // UCX 1.13 fails an assertion when a peer of its TCP goes while bytes are sent without a copy.
  if (options_.transports == "tcp")
    BATON_RETURN_IF_ERROR(UcxError("ZCOPY_THRESH", ucp_config_modify(config, "ZCOPY_THRESH", "inf")));
  ucp_params_t params = {};
  params.field_mask = UCP_PARAM_FIELD_FEATURES | UCP_PARAM_FIELD_NAME;
  params.features = UCP_FEATURE_AM | UCP_FEATURE_WAKEUP;
  if (options_.one_sided) params.features |= UCP_FEATURE_RMA;
  params.name = "baton";
  return UcxError("init", ucp_init(&params, config, &context_));
}

absl::Status UcxNode::Init() {
  BATON_RETURN_IF_ERROR(InitContext());
  ucp_worker_params_t worker = {};
  worker.field_mask = UCP_WORKER_PARAM_FIELD_THREAD_MODE;
  worker.thread_mode = UCS_THREAD_MODE_SINGLE;
  BATON_RETURN_IF_ERROR(UcxError("worker", ucp_worker_create(context_, &worker, &worker_)));
  const std::pair<unsigned, ucp_am_recv_callback_t> handlers[] = {{kRequestId, &OnRequest},
                                                                  {kAnswerId, &OnAnswer}};
  for (const auto& [id, callback] : handlers) {
    ucp_am_handler_param_t handler = {};
    handler.field_mask = UCP_AM_HANDLER_PARAM_FIELD_ID | UCP_AM_HANDLER_PARAM_FIELD_FLAGS |
                         UCP_AM_HANDLER_PARAM_FIELD_CB | UCP_AM_HANDLER_PARAM_FIELD_ARG;
    handler.id = id;
    handler.flags = UCP_AM_FLAG_WHOLE_MSG;
    handler.cb = callback;
    handler.arg = this;
    BATON_RETURN_IF_ERROR(UcxError("handler", ucp_worker_set_am_recv_handler(worker_, &handler)));
  }
  BATON_RETURN_IF_ERROR(UcxError("wake-up", ucp_worker_get_efd(worker_, &wake_fd_)));
  watch_->Set(wake_fd_);
  ucp_address_t* address = nullptr;
  size_t size = 0;
  BATON_RETURN_IF_ERROR(UcxError("address", ucp_worker_get_address(worker_, &address, &size)));
  address_.assign(reinterpret_cast<const char*>(address), size);
  ucp_worker_release_address(worker_, address);
  if (size > WireKey::Ucx::kMaxWorker) return absl::UnavailableError("UCX: its address is too long");
  token_ = RandomId128().lo;
  return absl::OkStatus();
}

UcxNode::~UcxNode() {
  for (const auto& [reader, reply] : replies_) reply->broken = true;
  CloseReplies(false);
  UnregisterAll();
  if (wake_fd_ >= 0) watch_->Remove(wake_fd_);
  if (worker_ != nullptr) ucp_worker_destroy(worker_);
  if (context_ != nullptr) ucp_cleanup(context_);
}

absl::Status UcxNode::Register(absl::Span<std::byte> memory) {
  Memory registered;
  registered.address = reinterpret_cast<uint64_t>(memory.data());
  if (!memory.empty() && options_.one_sided) {
    ucp_mem_map_params_t params = {};
    params.field_mask = UCP_MEM_MAP_PARAM_FIELD_ADDRESS | UCP_MEM_MAP_PARAM_FIELD_LENGTH;
    params.address = memory.data();
    params.length = memory.size();
    BATON_RETURN_IF_ERROR(UcxError("memory", ucp_mem_map(context_, &params, &registered.handle)));
    void* rkey = nullptr;
    size_t size = 0;
    const ucs_status_t packed = ucp_rkey_pack(context_, registered.handle, &rkey, &size);
    if (packed == UCS_OK) {
      registered.rkey.assign(static_cast<const char*>(rkey), size);
      ucp_rkey_buffer_release(rkey);
    }
    BATON_RETURN_IF_ERROR(UcxError("remote key", packed));
    if (size > WireKey::Ucx::kMaxRkey) return absl::UnavailableError("UCX: a remote key is too long");
  }
  memory_.push_back(std::move(registered));
  return absl::OkStatus();
}

void UcxNode::UnregisterAll() {
  for (const Memory& memory : std::exchange(memory_, {})) {
    if (memory.handle != nullptr) ucp_mem_unmap(context_, memory.handle);
  }
}

WireKey::Ucx UcxNode::KeyOf(RegionId region) const {
  return {address_, memory_[region].rkey, memory_[region].address, token_};
}

absl::StatusOr<std::unique_ptr<BytePath>> UcxNode::Connect(const WireKey& key, UcxWay way) {
  return UcxPath::Open(this, key, way);
}

uint64_t UcxNode::Expect(uint64_t tag, UcxPath* path) {
  const uint64_t nonce = RandomId128().lo;
  expected_[nonce] = {tag, path};
  return nonce;
}

bool UcxNode::Arm() const {
  return ucp_worker_arm(worker_) == UCS_OK;
}

UcxNode::Reply* UcxNode::ReplyTo(const std::string& reader, uint64_t path) {
  const std::pair key(path, reader);
  const auto known = replies_.find(key);
  if (known != replies_.end()) return known->second->broken ? nullptr : known->second.get();
  if (replies_.size() >= kMaxReplies) CloseReplies(true);
  if (replies_.size() >= kMaxReplies) return nullptr;
  auto reply = std::make_unique<Reply>();
  const auto broke = [](void* self, ucp_ep_h, ucs_status_t) { static_cast<Reply*>(self)->broken = true; };
  const auto endpoint = UcxEndpoint(worker_, reader, broke, reply.get());
  if (!endpoint.ok()) return nullptr;
  reply->endpoint = *endpoint;
  return (replies_[key] = std::move(reply)).get();
}

void UcxNode::CloseReplies(bool room) {
  Reply* idle = nullptr;
  for (const auto& [reader, reply] : replies_) {
    if (reply->answers == 0 && (idle == nullptr || reply->used < idle->used)) idle = reply.get();
  }
  if (room && idle != nullptr) idle->broken = true;
  for (auto it = replies_.begin(); it != replies_.end();) {
    Reply& reply = *it->second;
    const bool over =
        reply.broken && reply.endpoint != nullptr &&
        UcxClose(worker_, std::exchange(reply.endpoint, nullptr), [&] { return reply.answers == 0; });
    it = over ? replies_.erase(it) : std::next(it);
  }
}

void UcxNode::ServeAll(WireHandler* handler) {
  std::deque<Request> later;
  for (Request& request : std::exchange(requests_, {})) {
    if (now_ - request.since > kOldRequest) continue;
    Reply* const reply = answers_ < kMaxAnswers ? ReplyTo(request.reader, request.header.path) : nullptr;
    if (answers_ >= kMaxAnswers || (reply != nullptr && reply->answers >= kMaxAnswersOfOne)) {
      later.push_back(std::move(request));
    } else if (reply != nullptr) {
      Serve(request, reply, handler);
    }
  }
  for (Request& request : std::exchange(requests_, std::move(later))) requests_.push_back(std::move(request));
}

bool UcxNode::Progress(MonoTime now, WireHandler* handler) {
  now_ = now;
  int spins = 0;
  while (spins < kSpins && ucp_worker_progress(worker_) != 0) ++spins;
  CloseReplies(false);
  ServeAll(handler);
  for (; malformed_ > 0; --malformed_) handler->OnMalformed(0, "not an active message of ours");
  return spins == kSpins;
}

void UcxNode::Serve(const Request& request, Reply* reply, WireHandler* handler) {
  auto answer = std::make_unique<Answer>();
  answer->node = this;
  answer->reply = reply;
  reply->used = now_;
  answer->header.nonce = request.header.nonce;
  answer->header.kind = static_cast<uint8_t>(StreamFrameKind::kData);
  if (request.header.kind == static_cast<uint8_t>(StreamFrameKind::kProbe)) {
    answer->bytes = staging_.Take(std::min<size_t>(request.header.bytes, kMaxRead));
    std::memset(answer->bytes.data(), 0, answer->bytes.size());
  } else {
    const auto ranges = handler->OnRead(0, request.grant);
    const auto total = ranges.ok() ? regions_->Check(*ranges, kMaxRead) : ranges.status();
    if (total.ok()) {
      answer->bytes = staging_.Take(*total);
      regions_->Gather(*ranges, answer->bytes.data());
    } else {
      answer->header.kind = static_cast<uint8_t>(StreamFrameKind::kRefused);
      const absl::string_view why = total.status().message().substr(0, kMaxRefusalBytes);
      answer->bytes = staging_.Take(why.size());
      std::memcpy(answer->bytes.data(), why.data(), why.size());
    }
  }
  ucp_request_param_t param = {};
  param.op_attr_mask = UCP_OP_ATTR_FIELD_CALLBACK | UCP_OP_ATTR_FIELD_USER_DATA | UCP_OP_ATTR_FIELD_FLAGS;
  param.flags = UCP_AM_SEND_FLAG_EAGER;  // over TCP a third faster than its rendezvous
  param.user_data = answer.get();
  param.cb.send = [](void* sent, ucs_status_t, void* given) {
    auto* const over = static_cast<Answer*>(given);
    --over->node->answers_;
    --over->reply->answers;
    delete over;
    ucp_request_free(sent);
  };
  const ucs_status_ptr_t operation =
      ucp_am_send_nbx(reply->endpoint, kAnswerId, &answer->header, sizeof answer->header,
                      answer->bytes.data(), answer->bytes.size(), &param);
  if (!UCS_PTR_IS_PTR(operation)) return;
  ++answers_;
  ++reply->answers;
  (void)answer.release();  // the callback's
}

ucs_status_t UcxNode::OnRequest(void* self, const void* header, size_t header_size, void* data, size_t size,
                                const ucp_am_recv_param_t* param) {
  auto* const node = static_cast<UcxNode*>(self);
  Request request;
  const bool whole = (param->recv_attr & UCP_AM_RECV_ATTR_FLAG_RNDV) == 0;
  bool good = header_size == sizeof request.header && whole;
  if (good) std::memcpy(&request.header, header, header_size);
  const size_t address = request.header.address;
  good = good && request.header.token == node->token_ && address <= WireKey::Ucx::kMaxWorker &&
         address <= size && size - address <= kMaxGrantBytes;
  if (!good) {
    ++node->malformed_;
  } else if (node->requests_.size() < kMaxRequests) {
    request.reader.assign(static_cast<const char*>(data), address);
    request.grant.assign(static_cast<const char*>(data) + address, size - address);
    request.since = node->now_;
    node->requests_.push_back(std::move(request));
  }
  return UCS_OK;
}

ucs_status_t UcxNode::OnAnswer(void* self, const void* header, size_t header_size, void* data, size_t size,
                               const ucp_am_recv_param_t* param) {
  auto* const node = static_cast<UcxNode*>(self);
  Header given;
  if (header_size != sizeof given) return UCS_OK;
  std::memcpy(&given, header, header_size);
  const auto expected = node->expected_.find(given.nonce);
  if (expected == node->expected_.end()) return UCS_OK;  // aborted, or never asked for
  const auto [tag, path] = expected->second;
  const bool refused = given.kind == static_cast<uint8_t>(StreamFrameKind::kRefused);
  const bool whole = (param->recv_attr & UCP_AM_RECV_ATTR_FLAG_RNDV) == 0;  // as we send them
  if (whole) path->OnAnswer(tag, refused, data, size);
  return UCS_OK;
}

}  // namespace baton
