// fake_worker: a decode worker that computes nothing. It speaks worker.proto, reports to Watch and
// emits tokens at once or on a schedule, so that what a router costs can be measured.

#include <grpcpp/grpcpp.h>

#include <csignal>
#include <cstdio>
#include <random>

#include "absl/flags/flag.h"
#include "absl/flags/parse.h"
#include "absl/flags/usage.h"
#include "absl/synchronization/notification.h"
#include "absl/time/clock.h"
#include "baton/worker.grpc.pb.h"

ABSL_FLAG(absl::Duration, ttft, absl::ZeroDuration(), "from a call to its first token");
ABSL_FLAG(absl::Duration, itl, absl::ZeroDuration(), "between tokens; 0: as fast as they can be written");

namespace baton::bench {
namespace {

constexpr absl::Duration kReportInterval = absl::Milliseconds(100);
constexpr int32_t kFirstToken = 1000, kTokens = 512;  // of the default model's vocabulary: plain words

struct Pace {
  absl::Duration ttft, itl;
};

class FakeWorker final : public v1::Worker::Service {
 public:
  explicit FakeWorker(const Pace& pace) : pace_(pace) {
    std::random_device random;
    epoch_.set_hi(random());
    epoch_.set_lo(random());
  }
  void EndStreams() { stopping_.Notify(); }

  grpc::Status Decode(grpc::ServerContext*, const v1::DecodeRequest* request,
                      grpc::ServerWriter<v1::DecodeEvent>* writer) override {
    v1::DecodeEvent event;
    *event.mutable_accepted()->mutable_epoch() = epoch_;
    if (!writer->Write(event)) return grpc::Status::CANCELLED;
    const auto& spec = request->spec();
    const auto emitted = static_cast<uint32_t>(spec.tokens_size()) - spec.prompt_tokens();
    absl::Time next = absl::Now() + pace_.ttft;
    for (uint32_t position = emitted; position < spec.max_tokens(); ++position, next += pace_.itl) {
      if (next > absl::Now() && stopping_.WaitForNotificationWithDeadline(next)) break;
      SetToken(position, *event.mutable_token());
      if (!writer->Write(event)) return grpc::Status::CANCELLED;
    }
    event.mutable_finished()->set_reason(v1::FINISH_REASON_LENGTH);
    event.mutable_finished()->set_kv(request->has_source() ? v1::KV_OUTCOME_HELD : v1::KV_OUTCOME_LOCAL);
    writer->Write(event);
    return grpc::Status::OK;
  }

  grpc::Status Watch(grpc::ServerContext* context, const v1::WatchRequest*,
                     grpc::ServerWriter<v1::WatchEvent>* writer) override {
    for (uint64_t number = 0; !context->IsCancelled(); ++number) {
      v1::WatchEvent event;
      *event.mutable_epoch() = epoch_;
      event.set_number(number);
      event.set_role(v1::ROLE_DECODE);
      event.set_healthy(true);
      event.add_ranks()->mutable_pages()->set_free(1'000'000);
      if (number == 0) {
        event.mutable_info()->set_name("fake");
        event.mutable_info()->set_fingerprint("fake");
        event.mutable_info()->set_page_tokens(16);
        event.mutable_info()->mutable_kv()->set_endpoint("tcp://127.0.0.1:1");
      }
      if (!writer->Write(event) || stopping_.WaitForNotificationWithTimeout(kReportInterval)) break;
    }
    return grpc::Status::OK;
  }

 private:
  static void SetToken(uint32_t position, v1::Token& token) {
    token.set_position(position);
    token.set_token(kFirstToken + static_cast<int32_t>(position % kTokens));
  }

  const Pace pace_;
  v1::Id128 epoch_;
  absl::Notification stopping_;
};

int Main() {
  sigset_t ends;
  sigemptyset(&ends);
  sigaddset(&ends, SIGINT);
  sigaddset(&ends, SIGTERM);
  pthread_sigmask(SIG_BLOCK, &ends, nullptr);
  FakeWorker worker({absl::GetFlag(FLAGS_ttft), absl::GetFlag(FLAGS_itl)});
  int port = 0;
  grpc::ServerBuilder builder;
  builder.AddListeningPort("127.0.0.1:0", grpc::InsecureServerCredentials(), &port);
  builder.RegisterService(&worker);
  const std::unique_ptr<grpc::Server> server = builder.BuildAndStart();
  if (server == nullptr || port == 0) {
    std::fprintf(stderr, "fake_worker: cannot listen\n");
    return 1;
  }
  std::printf("127.0.0.1:%d\n", port);
  std::fflush(stdout);
  int signal_number = 0;
  sigwait(&ends, &signal_number);
  worker.EndStreams();
  server->Shutdown(std::chrono::system_clock::now() + std::chrono::seconds(2));
  return 0;
}

}  // namespace
}  // namespace baton::bench

int main(int argc, char** argv) {
  absl::SetProgramUsageMessage("a worker that computes nothing: --ttft, --itl");
  absl::ParseCommandLine(argc, argv);
  return baton::bench::Main();
}
