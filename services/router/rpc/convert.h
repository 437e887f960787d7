#pragma once

// Between proto messages and the router's plain structs (internal to rpc/). Workers are not trusted to be
// right: unknown enum values and absent parts become kUnknown and defaults.

#include "baton/worker.pb.h"
#include "services/router/rpc/worker_calls.h"

namespace baton::router {

v1::DecodeRequest ToProto(const GenerateSpec& spec, const CallParameters& parameters,
                          const std::optional<KvSourceRank>& source);
v1::PrefillRequest ToProto(const GenerateSpec& spec, const CallParameters& parameters, RankRef reader,
                           Epoch reader_epoch);
v1::ShareRequest ToProto(const MoveParameters& parameters, uint32_t reader_rank, Epoch reader_epoch);
v1::FetchRequest ToProto(const MoveParameters& parameters, const KvSourceRank& source);
v1::ResumeRequest ToProto(const ResumeParameters& parameters);
v1::RecordRequest RecordRequestOf(StreamId stream, Id128 principal);
v1::KeepRequest KeepRequestOf(const GenerateSpec& spec, Attempt attempt);
v1::StopRequest StopRequestOf(StreamId stream, Attempt attempt);
std::optional<DecodeMessage> FromProto(const v1::DecodeEvent& event);
std::optional<PrefillMessage> FromProto(const v1::PrefillEvent& event);
std::optional<ShareMessage> FromProto(const v1::ShareEvent& event);
std::optional<FetchMessage> FromProto(const v1::FetchEvent& event);
std::optional<RecordReply> FromProto(const v1::RecordEvent& event);
using ToldMessage = std::variant<EndedMessage>;
std::optional<ToldMessage> FromProto(const v1::KeepEvent& event);
std::optional<ToldMessage> FromProto(const v1::StopEvent& event);
std::optional<WatchMessage> FromProto(const v1::WatchEvent& event);

}  // namespace baton::router
