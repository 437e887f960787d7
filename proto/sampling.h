#pragma once

// Sampling parameters out of their message, for whichever struct holds them: routers and workers have one
// each, of the same field names, and none may know the other's.

#include "baton/worker.pb.h"

namespace baton {

template <typename Parameters>
Parameters SamplingFromProto(const v1::Sampling& in) {
  Parameters out{.temperature = in.temperature(),
                 .top_k = in.top_k(),
                 .top_p = in.top_p(),
                 .min_p = in.min_p(),
                 .presence_penalty = in.presence_penalty(),
                 .frequency_penalty = in.frequency_penalty(),
                 .repetition_penalty = in.repetition_penalty(),
                 .seed = in.seed(),
                 .choice_index = in.choice_index()};
  for (const v1::LogitBias& bias : in.logit_bias()) out.logit_bias.emplace_back(bias.token(), bias.bias());
  return out;
}

}  // namespace baton
