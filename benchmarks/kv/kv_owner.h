#pragma once

// The child's half of KvPair: does what the parent orders through a socket, until it closes.

#include "benchmarks/kv/kv_case.h"

namespace baton {

inline const Epoch kBenchOwner{1, 11}, kBenchReader{2, 22};
inline const Id128 kBenchDigest{5, 55};

struct OwnerOrder {
  char kind = 0;  // 'H': offer a whole sequence; 'O': offer it piece by piece over `argument` seconds; 'S':
                  // checksum it; 'C': CPU seconds so far
  uint64_t n = 0;
  int64_t tokens = 0;
  double argument = 0;
};
struct OwnerHello {
  char endpoint[128] = {};
  SharedMemoryName memory;
};

// Returns the exit status.
int RunOwner(const KvCase& kv, int socket);

inline HandoffId BenchId(uint64_t n) {
  return {{7, n}, {1, 0}};
}

}  // namespace baton
