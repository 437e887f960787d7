#pragma once

// What happened in a world, line by line: always folded into a hash, printed only on request. Two runs of a
// seed give the same hash or the simulator is broken. Not thread-safe.

#include <cstdint>
#include <cstdio>

#include "absl/strings/str_cat.h"
#include "absl/strings/string_view.h"
#include "absl/time/time.h"

namespace baton::sim {

class Trace {
 public:
  explicit Trace(bool print) : print_(print) {}

  // `what` names the kind of event, `detail` numbers that tell it from others of the kind.
  template <typename... Details>
  void Add(absl::Time now, absl::string_view who, absl::string_view what, const Details&... details) {
    ++events_;
    Fold(static_cast<uint64_t>(absl::ToUnixMicros(now)));
    FoldText(who);
    FoldText(what);
    (FoldDetail(details), ...);
    if (print_) Print(now, who, what, absl::StrCat(details...));
  }

  bool printing() const { return print_; }
  uint64_t hash() const { return hash_; }
  uint64_t events() const { return events_; }

 private:
  void Fold(uint64_t value) {
    hash_ = (hash_ ^ value) * 0x9fb21c651e98df25u;
    hash_ ^= hash_ >> 29;
  }
  void FoldText(absl::string_view text) {
    for (const char c : text) Fold(static_cast<uint8_t>(c));
  }
  void FoldDetail(absl::string_view text) { FoldText(text); }
  void FoldDetail(const char* text) { FoldText(text); }
  template <typename Number>
  requires std::is_arithmetic_v<Number>
  void FoldDetail(Number value) { Fold(static_cast<uint64_t>(value)); }

  static void Print(absl::Time now, absl::string_view who, absl::string_view what, absl::string_view detail) {
    std::printf("%11.6f  %-8.*s %-22.*s %.*s\n", absl::ToDoubleSeconds(now - absl::UnixEpoch()),
                static_cast<int>(who.size()), who.data(), static_cast<int>(what.size()), what.data(),
                static_cast<int>(detail.size()), detail.data());
  }

  const bool print_;
  uint64_t hash_ = 0x2545f4914f6cdd1du;
  uint64_t events_ = 0;
};

}  // namespace baton::sim
