#pragma once

// What every byte of every page should be, so that a wrong one shows: keys and values are a function of
// (handoff, place in the sequence), and a free page's bytes one of (page, how often it was freed).

#include <cstdint>

#include "common/ids.h"

namespace baton::faults {

// A permutation of 64 bits (splitmix64's finaliser).
constexpr uint64_t Mix(uint64_t x) {
  x = (x ^ (x >> 30)) * 0xbf58476d1ce4e5b9;
  x = (x ^ (x >> 27)) * 0x94d049bb133111eb;
  return x ^ (x >> 31);
}

// Of a sequence: word `i` of its pages laid end to end is Mix(SequenceSeed(id) + i).
constexpr uint64_t SequenceSeed(const HandoffId& id) {
  return Mix(Mix(Mix(id.stream.hi) + id.stream.lo) + (uint64_t{id.attempt.claim} << 32 | id.attempt.n)) | 1;
}

// Of a free page, and of a computing owner's page before its bytes are computed.
constexpr uint64_t GuardSeed(PageId page, uint64_t freed) {
  return ~Mix(Mix(static_cast<uint64_t>(page)) + freed);
}

// What the owner says the first token of `id` is.
constexpr TokenId FirstTokenOf(const HandoffId& id) {
  return static_cast<TokenId>(SequenceSeed(id) & 0xffff);
}

}  // namespace baton::faults
