#pragma once

// One answer as it comes, from bytes to a StreamRecord. Pure; not thread-safe.

#include "common/clock.h"
#include "tools/load/http_response.h"
#include "tools/load/openai_event.h"
#include "tools/load/plan.h"
#include "tools/load/stream_record.h"

namespace baton::load {

class Answer {
 public:
  // `request` outlives it. `keep_text`: record().text is filled.
  Answer(const PlannedRequest& request, size_t index, MonoTime scheduled, bool keep_text);

  struct Step {
    int tokens = 0;            // that these bytes brought
    std::vector<int32_t> ids;  // where the server told them
    bool ended = false;        // the record is final
  };
  void Sent(MonoTime now) { record_.sent = now; }
  Step Add(absl::string_view bytes, MonoTime now);
  void Closed(MonoTime now);  // by the server, or the connection broke
  // It ended for a reason of the client's own. The first end stays.
  void End(Outcome outcome, absl::string_view error, MonoTime now);

  bool ended() const { return ended_; }
  StreamRecord& record() { return record_; }

 private:
  void TakeEvent(absl::string_view data, MonoTime now, Step& step);
  void TakeError(MonoTime now);
  void CancelIfDue(MonoTime now);
  void TakeComment(absl::string_view comment);
  void EndOfBody(MonoTime now);

  const PlannedRequest& request_;
  bool keep_text_;
  StreamRecord record_;
  HttpResponseParser response_;
  EventLines events_;
  std::string body_;
  int64_t counted_ = -1;  // output tokens as the server says
  int64_t arrived_ = 0;
  bool ended_ = false;
};

}  // namespace baton::load
