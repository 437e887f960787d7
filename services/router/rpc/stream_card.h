#pragma once

// What a router must know of an answer, besides its choices' GenerateSpecs, to go on with it where another
// router left off. Workers keep it unread (GenerateSpec.card). Pure, thread-safe.

#include <cstdint>
#include <optional>
#include <string>
#include <vector>

namespace baton::router {

struct StreamCard {
  std::string answer_id;  // as clients see it
  int64_t created = 0;    // seconds since 1970
  bool chat = false;
  std::string model;
  bool include_usage = false;
  bool return_token_ids = false;
  std::vector<std::string> stop;
  uint64_t prompt_tokens = 0;  // of the whole request
};

// `answer_id` is not empty; nor is the result.
std::string EncodeCard(const StreamCard& card);
// nullopt: no card.
std::optional<StreamCard> DecodeCard(const std::string& bytes);

}  // namespace baton::router
