#include "services/kv_transfer/pool/service/pool_server.h"

#include <grpcpp/grpcpp.h>

#include <atomic>
#include <chrono>
#include <utility>

#include "absl/strings/match.h"
#include "absl/strings/str_cat.h"
#include "baton/pool.grpc.pb.h"
#include "services/kv_transfer/handoff/messages.h"

namespace baton::pool {
namespace {

constexpr std::chrono::seconds kShutdownTime{1};
constexpr uint64_t kMostMs = 600'000;

grpc::Status ToGrpc(const absl::Status& status) {
  return {static_cast<grpc::StatusCode>(status.code()), std::string(status.message())};
}

using baton::FromProto;
using baton::ToProto;

std::vector<Id128> FromProto(const google::protobuf::RepeatedPtrField<v1::Id128>& ids) {
  std::vector<Id128> out;
  out.reserve(ids.size());
  for (const v1::Id128& id : ids) out.push_back(FromProto(id));
  return out;
}

BlockRun FromProto(const v1::PoolRun& run) {
  return {FromProto(run.blocks()), FromProto(run.digests())};
}

absl::Duration Timeout(uint64_t ms) {
  return absl::Milliseconds(static_cast<int64_t>(std::min(ms, kMostMs)));
}

// Numbers too large for a KvLayout become negative, which no layout is.
KvLayout FromProto(const v1::PoolLayout& layout) {
  return {.layers = static_cast<int32_t>(layout.layers()),
          .kv_heads = static_cast<int32_t>(layout.kv_heads()),
          .head_dim = static_cast<int32_t>(layout.head_dim()),
          .dtype = layout.dtype() > 2 ? static_cast<KvDtype>(0xFF) : static_cast<KvDtype>(layout.dtype()),
          .atoms_per_page = static_cast<int32_t>(layout.atoms_per_page())};
}

void Fill(const PoolStatus& status, v1::PoolStats* out) {
  const auto pages = [&](PageState state) { return status.pages[static_cast<size_t>(state)]; };
  out->set_pages_free(pages(PageState::kFree));
  out->set_pages_cached(pages(PageState::kCached));
  out->set_pages_pinned(pages(PageState::kPinned));
  out->set_pages_filling(pages(PageState::kFilling));
  out->set_pages_quarantined(pages(PageState::kQuarantined));
  out->set_disk_blocks(status.disk_blocks);
  out->set_disk_capacity_blocks(status.disk_capacity_blocks);
  out->set_disk_state(!status.disk.ok()                  ? std::string(status.disk.message())
                      : status.disk_capacity_blocks == 0 ? "none"
                                                         : "on");
  out->set_moves(status.moves);
  out->set_blocks_asked(status.counters.blocks_asked);
  out->set_blocks_hit(status.counters.blocks_hit);
  out->set_blocks_stored(status.counters.blocks_stored);
}

class Service final : public v1::Pool::CallbackService {
 public:
  Service(const PoolServerOptions& options, PoolHost* host) : options_(options), host_(host) {}

  grpc::ServerUnaryReactor* Attach(grpc::CallbackServerContext* context, const v1::AttachRequest* request,
                                   v1::AttachResponse* response) override {
    grpc::ServerUnaryReactor* reactor = context->DefaultReactor();
    host_->Attach(request->fingerprint(), FromProto(request->layout()),
                  [reactor, response](const absl::StatusOr<std::shared_ptr<PoolNode>>& node) {
                    if (node.ok()) {
                      const KvPeer peer = (*node)->peer();
                      response->mutable_peer()->set_endpoint(peer.endpoint);
                      response->mutable_peer()->set_curve_public_key(peer.curve_public_key);
                      ToProto(peer.epoch, response->mutable_peer()->mutable_epoch());
                    }
                    reactor->Finish(ToGrpc(node.status()));
                  });
    return reactor;
  }

  grpc::ServerUnaryReactor* Fetch(grpc::CallbackServerContext* context, const v1::PoolFetchRequest* request,
                                  v1::PoolFetchResponse* response) override {
    grpc::ServerUnaryReactor* reactor = context->DefaultReactor();
    const auto node = Enter(request->pool_epoch());
    if (!node.ok()) {
      reactor->Finish(ToGrpc(node.status()));
      return reactor;
    }
    FetchCall call{.id = {FromProto(request->handoff()), {}},
                   .reader_epoch = FromProto(request->reader_epoch()),
                   .reader_rank = request->reader_rank(),
                   .run = FromProto(request->run()),
                   .skip = request->skip(),
                   .least = request->least(),
                   .timeout = Timeout(request->timeout_ms())};
    (*node)->Fetch(std::move(call), [this, reactor, response](const absl::StatusOr<FetchAnswer>& answer) {
      if (answer.ok()) {
        response->set_found(answer->found);
        response->set_blocks(answer->blocks);
        response->set_from_disk(answer->from_disk);
      }
      --calls_;
      reactor->Finish(ToGrpc(answer.status()));
    });
    return reactor;
  }

  grpc::ServerUnaryReactor* Store(grpc::CallbackServerContext* context, const v1::PoolStoreRequest* request,
                                  v1::PoolStoreResponse* response) override {
    grpc::ServerUnaryReactor* reactor = context->DefaultReactor();
    const auto node = Enter(request->pool_epoch());
    if (!node.ok()) {
      reactor->Finish(ToGrpc(node.status()));
      return reactor;
    }
    StoreCall call{.id = {FromProto(request->handoff()), {}},
                   .owner = {.endpoint = request->owner().endpoint(),
                             .curve_public_key = request->owner().curve_public_key(),
                             .epoch = FromProto(request->owner().epoch()),
                             .rank = request->owner().rank()},
                   .run = FromProto(request->run()),
                   .timeout = Timeout(request->timeout_ms())};
    (*node)->Store(std::move(call), [this, reactor, response](const absl::StatusOr<StoreAnswer>& answer) {
      if (answer.ok()) {
        response->set_first(answer->first);
        response->set_blocks(answer->blocks);
      }
      --calls_;
      reactor->Finish(ToGrpc(answer.status()));
    });
    return reactor;
  }

  grpc::ServerUnaryReactor* Stats(grpc::CallbackServerContext* context, const v1::PoolStatsRequest*,
                                  v1::PoolStats* response) override {
    grpc::ServerUnaryReactor* reactor = context->DefaultReactor();
    response->set_healthy(true);
    if (const std::shared_ptr<PoolNode> node = host_->node()) {
      Fill(node->Status(), response);
      ToProto(node->peer().epoch, response->mutable_epoch());
      response->set_fingerprint(node->fingerprint());
      response->set_healthy(node->Health().ok());
      response->set_page_bytes(node->layout().PageBytes());
    }
    reactor->Finish(grpc::Status::OK);
    return reactor;
  }

 private:
  // The node, and a place among the calls in flight.
  absl::StatusOr<std::shared_ptr<PoolNode>> Enter(const v1::Id128& epoch) {
    std::shared_ptr<PoolNode> node = host_->node();
    if (node == nullptr || FromProto(epoch) != node->peer().epoch)
      return absl::AbortedError("another life of the pool: attach again");
    if (calls_.fetch_add(1) < options_.max_calls) return node;
    --calls_;
    return absl::ResourceExhaustedError("too many calls in flight");
  }

  const PoolServerOptions options_;
  PoolHost* const host_;
  std::atomic<int> calls_{0};
};

}  // namespace

struct PoolServer::Impl {
  Impl(const PoolServerOptions& options, PoolHost* host) : service(options, host), address(options.listen) {}
  ~Impl() {
    if (server != nullptr) server->Shutdown(std::chrono::system_clock::now() + kShutdownTime);
  }
  Service service;
  std::string address;
  std::unique_ptr<grpc::Server> server;
};

PoolServer::PoolServer(std::unique_ptr<Impl> impl) : impl_(std::move(impl)) {}
PoolServer::~PoolServer() = default;
const std::string& PoolServer::address() const {
  return impl_->address;
}

absl::StatusOr<std::unique_ptr<PoolServer>> PoolServer::Start(const PoolServerOptions& options,
                                                              PoolHost* host) {
  auto impl = std::make_unique<Impl>(options, host);
  grpc::ServerBuilder builder;
  int port = 0;
  builder.AddListeningPort(options.listen, grpc::InsecureServerCredentials(), &port);
  builder.RegisterService(&impl->service);
  builder.SetMaxReceiveMessageSize(options.max_message_bytes);
  builder.AddChannelArgument(GRPC_ARG_ALLOW_REUSEPORT, 0);
  builder.AddChannelArgument(GRPC_ARG_MAX_CONCURRENT_STREAMS, options.max_calls);
  builder.AddChannelArgument(GRPC_ARG_HTTP2_MIN_RECV_PING_INTERVAL_WITHOUT_DATA_MS, 1000);
  impl->server = builder.BuildAndStart();
  if (impl->server == nullptr || port == 0) {
    return absl::UnavailableError(
        absl::StrCat("cannot listen on --grpc_listen=", options.listen,
                     ": the port is in use, or the address is none of this machine's"));
  }
  if (absl::EndsWith(options.listen, ":0"))
    impl->address = absl::StrCat(options.listen.substr(0, options.listen.size() - 1), port);
  return std::unique_ptr<PoolServer>(new PoolServer(std::move(impl)));
}

}  // namespace baton::pool
