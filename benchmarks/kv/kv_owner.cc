#include "benchmarks/kv/kv_owner.h"

#include <unistd.h>

#include <cstdio>
#include <cstring>

#include "absl/synchronization/notification.h"
#include "common/checksum.h"
#include "common/clock.h"
#include "services/kv_transfer/handoff/node.h"

namespace baton {
namespace {

constexpr absl::Duration kTaken = absl::Milliseconds(2);  // by then its node has taken all that it was told

class Ignore final : public HandoffEventSink {
 public:
  void OnHandoffEvent(HandoffEvent) override {}
};

void WaitUntil(const Clock& clock, MonoTime until) {
  absl::Notification never;
  never.WaitForNotificationWithTimeout(until - clock.Now());
}

class Owner {
 public:
  Owner(const KvCase& kv, BenchPool* pool, HandoffNode* node) : kv_(kv), pool_(pool), node_(node) {}

  double Do(const OwnerOrder& order) {
    switch (order.kind) {
      case 'H':
        Begin(order);
        Offer(order, absl::ZeroDuration());
        WaitUntil(clock_, clock_.Now() + kTaken);
        return 0;
      case 'O':
        Begin(order);
        Offer(order, absl::Seconds(order.argument));
        return absl::ToDoubleSeconds(last_offer_ - absl::UnixEpoch());
      case 'S':
        return Checksum(order.tokens);
      default:
        return CpuSeconds();
    }
  }

 private:
  void Begin(const OwnerOrder& order) {
    (void)node_->Submit(
        OwnBegin{BenchId(order.n), 0, kBenchReader, 0, order.tokens, clock_.Now() + absl::Seconds(60)});
  }
  // As an engine: chunk by chunk, layer group by layer group.
  void Offer(const OwnerOrder& order, absl::Duration compute) {
    const std::vector<PageId> pages = PagesOf(kv_, order.n, order.tokens, true);
    const int64_t chunks = (order.tokens + kv_.chunk_tokens - 1) / kv_.chunk_tokens;
    const int64_t groups = (kv_.layout.layers + kv_.layer_group - 1) / kv_.layer_group;
    const MonoTime begun = clock_.Now();
    int64_t step = 0;
    for (int64_t begin = 0; begin < order.tokens; begin += kv_.chunk_tokens) {
      for (int layer = 0; layer < kv_.layout.layers; layer += kv_.layer_group) {
        const UnitRect rect{begin, std::min<int64_t>(order.tokens, begin + kv_.chunk_tokens), layer,
                            std::min(kv_.layout.layers, layer + kv_.layer_group)};
        OwnOffer offer{BenchId(order.n),
                       rect.begin,
                       rect.end,
                       rect.first_layer,
                       rect.end_layer,
                       pages,
                       pool_->Checksums(rect, pages)};
        if (compute > absl::ZeroDuration()) WaitUntil(clock_, begun + compute * ++step / (chunks * groups));
        last_offer_ = clock_.Now();
        (void)node_->Submit(std::move(offer));
      }
    }
    (void)node_->Submit(OwnSeal{BenchId(order.n), kBenchDigest, 1});
  }
  // What the engine's thread spends on checksums: each layer group's, right after it was written.
  double Checksum(int64_t tokens) {
    const size_t bytes = RectBytes(kv_.layout, {0, kv_.chunk_tokens, 0, kv_.layer_group});
    std::vector<std::byte> written(bytes);
    const auto pieces =
        static_cast<int64_t>(static_cast<double>(RectBytes(kv_.layout, {0, tokens, 0, kv_.layout.layers})) /
                             static_cast<double>(bytes));
    absl::Duration spent;
    uint64_t sum = 0;
    for (int64_t i = 0; i < pieces; ++i) {
      std::memset(written.data(), static_cast<int>(i), bytes);
      const MonoTime begun = clock_.Now();
      for (size_t at = 0; at < bytes; at += kv_.layout.UnitBytes())
        sum ^= Checksum64({written.data() + at, kv_.layout.UnitBytes()});
      spent += clock_.Now() - begun;
    }
    return absl::ToDoubleSeconds(spent) + (sum == 1 ? 1e-12 : 0);
  }

  const KvCase& kv_;
  BenchPool* const pool_;
  HandoffNode* const node_;
  const SteadyClock clock_;
  MonoTime last_offer_;  // when its bytes were there
};

int Fail(const absl::Status& status) {
  std::fprintf(stderr, "baton-bench-kv: the owner: %s\n", std::string(status.message()).c_str());
  return 1;
}

}  // namespace

int RunOwner(const KvCase& kv, int socket) {
  auto pool = BenchPool::Create(kv);
  if (!pool.ok()) return Fail(pool.status());
  (*pool)->Fill();
  (*pool)->ComputeChecksums();
  const SteadyClock clock;
  auto wire = NewFastWire({.choice = kv.wire, .shared = {&(*pool)->memory()}}, &clock);
  if (!wire.ok()) return Fail(wire.status());
  Ignore sink;
  auto node = HandoffNode::Start({}, kBenchOwner, pool->get(), *std::move(wire), &clock, &sink);
  if (!node.ok()) return Fail(node.status());
  OwnerHello hello;
  std::strncpy(hello.endpoint, (*node)->endpoint().c_str(), sizeof hello.endpoint - 1);
  hello.memory = (*pool)->memory().name();
  if (write(socket, &hello, sizeof hello) != sizeof hello) return 1;
  Owner owner(kv, pool->get(), node->get());
  OwnerOrder order;
  while (read(socket, &order, sizeof order) == sizeof order) {
    const double answer = owner.Do(order);
    if (write(socket, &answer, sizeof answer) != sizeof answer) return 1;
  }
  return 0;
}

}  // namespace baton
