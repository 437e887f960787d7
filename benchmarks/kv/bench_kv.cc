// Moves sequences between two nodes of this process over ZeroMQ on loopback TCP, beside a plain copy of the
// same bytes, and prints GB/s and milliseconds, Open to *held*. Both ends' work counts: checksums were made
// before, as an engine does.

#include <cstdio>
#include <cstring>
#include <vector>

#include "absl/flags/flag.h"
#include "absl/flags/parse.h"
#include "absl/synchronization/notification.h"
#include "common/checksum.h"
#include "services/kv_transfer/handoff/node.h"
#include "services/kv_transfer/handoff/units.h"
#include "services/kv_transfer/transport/zmq_wire.h"

ABSL_FLAG(int, tokens, 1500, "tokens of a handoff");
ABSL_FLAG(int, layers, 30, "layers of the model");
ABSL_FLAG(int, kv_heads, 3, "KV heads");
ABSL_FLAG(int, head_dim, 64, "head dimension");
ABSL_FLAG(int, rounds, 20, "handoffs, one after the other");

namespace baton {
namespace {

class Pool final : public KvMemory {
 public:
  Pool(const KvLayout& layout, int64_t pages)
      : layout_(layout), pages_(pages), bytes_(pages * layout.PageBytes()) {
    for (size_t i = 0; i < bytes_.size(); ++i) bytes_[i] = static_cast<std::byte>(i * 2654435761u >> 24);
  }
  const KvLayout& layout() const override { return layout_; }
  uint32_t ranks() const override { return 1; }
  int64_t pages(uint32_t) const override { return pages_; }
  absl::Span<std::byte> Page(uint32_t, PageId page) override {
    return absl::MakeSpan(bytes_).subspan(page * layout_.PageBytes(), layout_.PageBytes());
  }
  absl::Span<std::byte> bytes() { return absl::MakeSpan(bytes_); }

 private:
  const KvLayout layout_;
  const int64_t pages_;
  std::vector<std::byte> bytes_;
};

// Waits for the one event that ends a handoff at its side.
class Waiter final : public HandoffEventSink {
 public:
  void OnHandoffEvent(HandoffEvent event) override {
    held = std::holds_alternative<PullHeld>(event) ||
           (std::holds_alternative<OwnEnded>(event) && std::get<OwnEnded>(event).held);
    done->Notify();
  }
  bool held = false;
  std::unique_ptr<absl::Notification> done = std::make_unique<absl::Notification>();
};

std::vector<uint64_t> Checksums(Pool& pool, const UnitRect& rect, const std::vector<PageId>& pages) {
  const std::vector<uint64_t> none(RectUnits(pool.layout(), rect));
  std::vector<uint64_t> sums;
  for (const UnitCheck& check : RectChecks(pool.layout(), rect, {0, 0, pages}, none)) {
    sums.push_back(Checksum64(pool.bytes().subspan(check.range.offset, check.range.length)));
  }
  return sums;
}

int Run() {
  const KvLayout layout{absl::GetFlag(FLAGS_layers), absl::GetFlag(FLAGS_kv_heads),
                        absl::GetFlag(FLAGS_head_dim)};
  const int64_t tokens = absl::GetFlag(FLAGS_tokens);
  const int64_t count = layout.PagesFor(tokens);
  Pool from(layout, count), to(layout, count);
  std::vector<PageId> pages(count);
  for (int64_t i = 0; i < count; ++i) pages[i] = static_cast<PageId>(i);
  const UnitRect whole{0, tokens, 0, layout.layers};
  const double bytes = static_cast<double>(RectBytes(layout, whole));

  SteadyClock clock;
  const MonoTime copy_start = clock.Now();
  std::memcpy(to.bytes().data(), from.bytes().data(), from.bytes().size());
  const double copy_s = absl::ToDoubleSeconds(clock.Now() - copy_start);
  const std::vector<uint64_t> sums = Checksums(from, whole, pages);

  Waiter owner_done, reader_done;
  const Epoch owner_epoch{1, 1}, reader_epoch{2, 2};
  auto owner = HandoffNode::Start({}, owner_epoch, &from, *NewZmqTransport({}), &clock, &owner_done);
  auto reader = HandoffNode::Start({}, reader_epoch, &to, *NewZmqTransport({}), &clock, &reader_done);
  if (!owner.ok() || !reader.ok()) return 1;
  double best = 1e9, sum = 0;
  const int rounds = absl::GetFlag(FLAGS_rounds);
  for (int round = 0; round < rounds; ++round) {
    const HandoffId id{{1, static_cast<uint64_t>(round)}, {1, 0}};
    const MonoTime start = clock.Now(), deadline = start + absl::Seconds(60);
    (void)(*owner)->Submit(OwnBegin{id, 0, reader_epoch, 0, tokens, deadline});
    (void)(*owner)->Submit(OwnOffer{id, 0, tokens, 0, layout.layers, pages, sums});
    (void)(*owner)->Submit(OwnSeal{id, {3, 3}, 1});
    (void)(*reader)->Submit(
        PullBegin{id, {(*owner)->endpoint(), "", owner_epoch, 0}, 0, 0, tokens, pages, {3, 3}, deadline});
    reader_done.done->WaitForNotification();
    const double s = absl::ToDoubleSeconds(clock.Now() - start);
    owner_done.done->WaitForNotification();
    if (!reader_done.held) return 1;
    best = std::min(best, s);
    sum += s;
    owner_done.done = std::make_unique<absl::Notification>();
    reader_done.done = std::make_unique<absl::Notification>();
  }
  std::printf("%lld tokens, %.1f MB: held in %.2f ms (best %.2f), %.2f GB/s (best %.2f); memcpy %.2f GB/s\n",
              static_cast<long long>(tokens), bytes / 1e6, sum / rounds * 1e3, best * 1e3,
              bytes / (sum / rounds) / 1e9, bytes / best / 1e9, bytes / copy_s / 1e9);
  return 0;
}

}  // namespace
}  // namespace baton

int main(int argc, char** argv) {
  absl::ParseCommandLine(argc, argv);
  return baton::Run();
}
