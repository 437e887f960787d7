#pragma once

// Seeded mutations of bytes: flips, inserts, deletes, copies, truncations, and splices of a dictionary. A
// seed always gives the same bytes.

#include <cstdint>
#include <random>
#include <string>
#include <vector>

namespace baton::router::testing {

class Mutator {
 public:
  Mutator(uint64_t seed, const std::vector<std::string>& dictionary)
      : random_(seed), dictionary_(dictionary) {}

  std::string Mutate(std::string bytes) {
    const uint32_t changes = 1 + Below(6);
    for (uint32_t i = 0; i < changes; ++i) Change(bytes);
    return bytes;
  }
  uint32_t Below(uint32_t bound) { return static_cast<uint32_t>(random_() % bound); }

 private:
  size_t Place(const std::string& bytes) { return Below(static_cast<uint32_t>(bytes.size()) + 1); }

  void Change(std::string& bytes) {
    const size_t at = Place(bytes);
    switch (Below(7)) {
      case 0:
        if (at < bytes.size()) bytes[at] = static_cast<char>(bytes[at] ^ (1 << Below(8)));
        return;
      case 1:
        bytes.insert(at, 1, static_cast<char>(Below(256)));
        return;
      case 2:
        bytes.erase(at, 1 + Below(8));
        return;
      case 3:
        bytes.insert(at, bytes.substr(Place(bytes), Below(64)));
        return;
      case 4:
        if (Below(8) == 0) bytes.resize(at);
        return;
      default:
        bytes.insert(at, dictionary_[Below(static_cast<uint32_t>(dictionary_.size()))]);
        return;
    }
  }

  std::mt19937_64 random_;
  const std::vector<std::string>& dictionary_;
};

}  // namespace baton::router::testing
