#pragma once

// Names the seed that a crash (signal, sanitizer, abort) happened in: while one lives, the crash handler
// prints its replay command. One a thread at a time.

#include <cstdint>
#include <string>

namespace baton::sim {

class CrashNote {
 public:
  explicit CrashNote(uint64_t seed);
  ~CrashNote();
};

// Installs the handler; `program` is how this binary was called. Once, before any thread starts.
void InstallCrashHandler(const std::string& program);

}  // namespace baton::sim
