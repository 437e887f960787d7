// One who tries to open a handoff at a worker: `kv_stranger GRPC_ADDRESS [KEY_FILE LIST]`. Asks the worker
// where its handoffs are, as a router would, connects there as well as it can, and sends Opens. Prints
// "answered" if the worker says anything to that, else "nothing: " and what became of the connection.

#include <grpcpp/grpcpp.h>

#include <cstdio>
#include <string>

#include "baton/handoff.pb.h"
#include "baton/worker.grpc.pb.h"
#include "common/clock.h"
#include "common/curve_keys.h"
#include "common/ids.h"
#include "services/kv_transfer/transport/zmq_wire.h"

namespace baton {
namespace {

constexpr absl::Duration kPatience = absl::Seconds(6);

class Listener final : public WireHandler {
 public:
  void OnMessage(PeerId, absl::string_view) override { answered = true; }
  absl::StatusOr<std::vector<ByteRange>> OnRead(PeerId, absl::string_view) override {
    return absl::PermissionDeniedError("no");
  }
  void OnReadDone(uint64_t, absl::Status) override {}
  void OnMalformed(PeerId, absl::string_view) override {}
  void OnPeerChange(PeerId, PeerChange, absl::string_view why) override { gone = std::string(why); }
  bool answered = false;
  std::string gone;
};

absl::StatusOr<v1::WorkerInfo> Ask(const std::string& address) {
  const auto channel = grpc::CreateChannel(address, grpc::InsecureChannelCredentials());
  grpc::ClientContext context;
  context.set_deadline(std::chrono::system_clock::now() + std::chrono::seconds(10));
  const auto stub = v1::Worker::NewStub(channel);
  const auto watch = stub->Watch(&context, v1::WatchRequest());
  v1::WatchEvent event;
  if (!watch->Read(&event) || !event.has_info()) return absl::UnavailableError("no snapshot from " + address);
  context.TryCancel();
  return event.info();
}

std::string OpenOf(const v1::WorkerInfo& info) {
  v1::Handoff message;
  message.mutable_key()->mutable_stream()->set_lo(1);
  message.mutable_sender_epoch()->set_lo(2);
  v1::Open& open = *message.mutable_open();
  *open.mutable_owner_epoch() = info.kv().epoch();
  open.mutable_reader_epoch()->set_lo(2);
  open.set_fingerprint(info.fingerprint());
  open.set_reader("decode-0");
  open.set_hard_ms(10000);
  return message.SerializeAsString();
}

absl::StatusOr<std::string> Try(const std::string& address, const std::string& key, const std::string& list) {
  const auto info = Ask(address);
  if (!info.ok()) return info.status();
  const CurvePair life = CurvePair::Generate();
  ZmqOptions options{.curve_public_key = life.public_key, .curve_secret_key = life.secret_key};
  options.key_file = key;
  options.allowed_keys_file = list;
  const auto wire = NewZmqTransport(options);
  if (!wire.ok()) return wire.status();
  const auto peer = (*wire)->Connect(info->kv().endpoint(), info->kv().curve_public_key());
  if (!peer.ok()) return peer.status();
  Listener listener;
  const SteadyClock clock;
  const MonoTime until = clock.Now() + kPatience;
  while (!listener.answered && listener.gone.empty() && clock.Now() < until) {
    (void)(*wire)->Send(*peer, OpenOf(*info));
    (*wire)->Poll(absl::Milliseconds(100), &listener);
  }
  return listener.answered ? "answered" : "nothing: " + listener.gone;
}

}  // namespace
}  // namespace baton

int main(int argc, char** argv) {
  const auto said = argc == 2 || argc == 4
                        ? baton::Try(argv[1], argc == 4 ? argv[2] : "", argc == 4 ? argv[3] : "")
                        : absl::InvalidArgumentError("kv_stranger GRPC_ADDRESS [KEY_FILE LIST]");
  if (!said.ok()) {
    std::fprintf(stderr, "%s\n", std::string(said.status().message()).c_str());
    return 1;
  }
  std::printf("%s\n", said->c_str());
  return 0;
}
