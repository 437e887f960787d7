#pragma once

// Who may connect to us, whom we connect to, and what we prove to either. Without key files anybody may, and
// the keys of this life of the process are proven. One thread, but for public_key(). Closed after every
// socket of its context that it guards.

#include <atomic>
#include <deque>
#include <memory>
#include <optional>
#include <string>

#include "services/kv_transfer/transport/watched_keys.h"
#include "services/kv_transfer/transport/zap_handler.h"
#include "services/kv_transfer/transport/zmq_socket.h"

namespace baton {

class ZmqGate {
 public:
  // InvalidArgument: options that do not go together; else as the key files.
  static absl::StatusOr<std::unique_ptr<ZmqGate>> Open(void* context, const ZmqOptions& options,
                                                       MonoTime now);

  bool guarded() const { return keys_.has_value(); }
  // What peers are told to know us by. Any thread; the reference stays valid.
  const std::string& public_key() const { return *public_key_.load(); }
  // What we prove to those we connect to.
  CurvePair Ours() const;
  // The server key in a peer's public key. PermissionDenied: it is not one to connect to.
  absl::StatusOr<std::string> ServerKey(const std::string& public_key) const;

  // A connection's user is the key's text, a space, and whose it is.
  static std::string NameIn(absl::string_view user);
  bool Listed(const std::string& user) const;  // by this key and name
  bool HasName(absl::string_view name) const { return !guarded() || keys_->allowed().HasName(name); }

  // Looks at the files again if it is time.
  WatchedKeys::Change Look(MonoTime now);
  MonoTime next_look() const { return guarded() ? keys_->next_look() : absl::InfiniteFuture(); }

  // Readable when somebody wants to connect; nullptr: nobody is asked.
  void* raw() const { return zap_.has_value() ? zap_->raw() : nullptr; }
  // Lets in and turns away; the latter are told to `handler`. Whether nobody waits any more.
  bool Serve(WireHandler* handler);

 private:
  explicit ZmqGate(const ZmqOptions& options);
  void Publish();

  CurvePair life_;
  std::optional<WatchedKeys> keys_;
  std::optional<ZapHandler> zap_;
  std::deque<std::string> published_;
  std::atomic<const std::string*> public_key_{nullptr};
};

}  // namespace baton
