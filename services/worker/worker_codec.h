#pragma once

// proto/baton/worker.proto to and from the worker's plain structs. Thread-safe.

#include "absl/status/statusor.h"
#include "baton/worker.pb.h"
#include "services/worker/worker.h"

namespace baton::codec {

// A request's duration starts at `now`; none is unlimited (the worker has a limit of its own).
// InvalidArgument for what no struct can hold; WorkerCore checks the rest.
absl::StatusOr<DecodeCall> FromProto(const v1::DecodeRequest& request, MonoTime now);
absl::StatusOr<PrefillCall> FromProto(const v1::PrefillRequest& request, MonoTime now);
absl::StatusOr<ShareCall> FromProto(const v1::ShareRequest& request, MonoTime now);
absl::StatusOr<FetchCall> FromProto(const v1::FetchRequest& request, MonoTime now);
absl::StatusOr<ResumeCall> FromProto(const v1::ResumeRequest& request, MonoTime now);
absl::StatusOr<RecordCall> FromProto(const v1::RecordRequest& request, MonoTime now);
absl::StatusOr<KeepCall> FromProto(const v1::KeepRequest& request, MonoTime now);
absl::StatusOr<StopCall> FromProto(const v1::StopRequest& request, MonoTime now);

// `epoch` is this worker's.
void ToProto(const CallEvent& event, const Epoch& epoch, v1::DecodeEvent* out);
void ToProto(const CallEvent& event, const Epoch& epoch, v1::PrefillEvent* out);
void ToProto(const CallEvent& event, const Epoch& epoch, v1::ShareEvent* out);
void ToProto(const CallEvent& event, const Epoch& epoch, v1::FetchEvent* out);
void ToProto(const CallEvent& event, const Epoch& epoch, v1::RecordEvent* out);
void ToProto(const CallEvent& event, const Epoch& epoch, v1::KeepEvent* out);
void ToProto(const CallEvent& event, const Epoch& epoch, v1::StopEvent* out);

v1::Role ToProto(WorkerRole role);
void ToProto(uint32_t rank, const EngineLoad& load, v1::RankLoad* out);
void ToProto(const WorkerFacts& facts, v1::WorkerInfo* out);
void ToProto(const Id128& id, v1::Id128* out);

}  // namespace baton::codec
