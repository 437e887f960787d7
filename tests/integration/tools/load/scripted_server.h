#pragma once

// An endpoint that answers each request as its "user" is scripted: well or badly.

#include <map>
#include <mutex>
#include <string>
#include <thread>
#include <vector>

#include "common/file_descriptor.h"

namespace baton::load {

struct Script {
  enum class Then { kClose, kHold };  // kHold: until the client closes
  std::vector<std::string> pieces;    // each written by itself
  Then then = Then::kClose;
};

class ScriptedServer {
 public:
  explicit ScriptedServer(std::map<std::string, Script> scripts);
  ~ScriptedServer();  // after the clients have gone

  int port() const { return port_; }
  std::vector<std::string> requests();  // whole, as they came
  size_t most_at_once();                // connections

 private:
  void Accept();
  void Serve(int connection);  // and closes it

  std::map<std::string, Script> scripts_;
  FileDescriptor listener_;
  int port_ = 0;
  std::mutex mutex_;                   // of std: ThreadSanitizer does not see into the system's absl
  std::vector<std::string> requests_;  // under the mutex,
  size_t open_ = 0, most_ = 0;         // as these
  std::vector<std::thread> serving_;   // of the accepting thread, until it ends
  std::thread accepting_;
};

// A port of this machine that nobody else gets and nobody listens on: connections are refused.
class DeafPort {
 public:
  DeafPort();
  int port() const { return port_; }

 private:
  FileDescriptor socket_;
  int port_ = 0;
};

// Pieces of a good chunked answer: the head, each token, and the end with usage.
std::string GoodHead();
std::string TokenChunk(const std::string& text, int id, const std::string& finish = "");
std::string GoodEnd(int tokens);

}  // namespace baton::load
