#include "services/router/rpc/stream_card.h"

#include "baton/worker.pb.h"

namespace baton::router {

std::string EncodeCard(const StreamCard& card) {
  v1::StreamCard out;
  out.set_answer_id(card.answer_id);
  out.set_created(card.created);
  out.set_chat(card.chat);
  out.set_model(card.model);
  out.set_include_usage(card.include_usage);
  out.set_return_token_ids(card.return_token_ids);
  for (const std::string& stop : card.stop) out.add_stop(stop);
  out.set_prompt_tokens(card.prompt_tokens);
  return out.SerializeAsString();
}

std::optional<StreamCard> DecodeCard(const std::string& bytes) {
  v1::StreamCard in;
  if (!in.ParseFromString(bytes) || in.answer_id().empty()) return std::nullopt;
  return StreamCard{.answer_id = in.answer_id(),
                    .created = in.created(),
                    .chat = in.chat(),
                    .model = in.model(),
                    .include_usage = in.include_usage(),
                    .return_token_ids = in.return_token_ids(),
                    .stop = {in.stop().begin(), in.stop().end()},
                    .prompt_tokens = in.prompt_tokens()};
}

}  // namespace baton::router
