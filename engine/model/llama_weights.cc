#include "engine/model/llama_weights.h"

#include "absl/status/status.h"
#include "absl/strings/str_cat.h"
#include "common/status_macros.h"
#include "engine/kernels/thread_pool.h"
#include "engine/model/fingerprint.h"

namespace baton {
namespace {

using kernels::PackedMatrix;
using kernels::WeightType;

absl::StatusOr<WeightType> TypeOf(const GgufTensor& tensor) {
  switch (tensor.type) {
    case GgmlType::kF32:
      return WeightType::kF32;
    case GgmlType::kF16:
      return WeightType::kF16;
    case GgmlType::kBF16:
      return WeightType::kBF16;
    case GgmlType::kQ8_0:
      return WeightType::kQ8_0;
    case GgmlType::kQ4_0:
      return WeightType::kQ4_0;
    case GgmlType::kQ4_1:
      return WeightType::kQ4_1;
  }
  return absl::UnimplementedError(absl::StrCat("tensor ", tensor.name, " is of an unknown type"));
}

struct MatrixJob {
  std::string name;
  int64_t rows, cols;
  PackedMatrix* out;
};

struct VectorJob {
  std::string name;
  int64_t size;
  std::vector<float>* out;
};

struct Plan {
  std::vector<MatrixJob> matrices;
  std::vector<VectorJob> vectors;
};

Plan PlanOf(const ModelConfig& c, bool tied, LlamaWeights& w) {
  Plan plan;
  const int64_t q_rows = int64_t{c.heads} * c.head_dim;
  const int64_t kv_rows = int64_t{c.kv_heads} * c.head_dim;
  plan.matrices.push_back({"token_embd.weight", c.vocab, c.hidden, &w.embedding});
  if (!tied) plan.matrices.push_back({"output.weight", c.vocab, c.hidden, &w.output});
  plan.vectors.push_back({"output_norm.weight", c.hidden, &w.output_norm});
  for (int i = 0; i < c.layers; ++i) {
    LlamaLayer& layer = w.layers[i];
    const auto add = [&](absl::string_view part, int64_t rows, int64_t cols, PackedMatrix* out) {
      plan.matrices.push_back({absl::StrCat("blk.", i, ".", part, ".weight"), rows, cols, out});
    };
    plan.vectors.push_back({absl::StrCat("blk.", i, ".attn_norm.weight"), c.hidden, &layer.attn_norm});
    plan.vectors.push_back({absl::StrCat("blk.", i, ".ffn_norm.weight"), c.hidden, &layer.ffn_norm});
    add("attn_q", q_rows, c.hidden, &layer.q);
    add("attn_k", kv_rows, c.hidden, &layer.k);
    add("attn_v", kv_rows, c.hidden, &layer.v);
    add("attn_output", c.hidden, q_rows, &layer.o);
    add("ffn_gate", c.ffn, c.hidden, &layer.gate);
    add("ffn_up", c.ffn, c.hidden, &layer.up);
    add("ffn_down", c.hidden, c.ffn, &layer.down);
  }
  return plan;
}

absl::Status CheckAllKnown(const GgufFile& file, const Plan& plan, bool has_factors) {
  const size_t known = plan.matrices.size() + plan.vectors.size() + (has_factors ? 1 : 0);
  if (file.tensors().size() == known) return absl::OkStatus();
  for (const GgufTensor& tensor : file.tensors()) {
    bool found = tensor.name == "rope_freqs.weight";
    for (const MatrixJob& job : plan.matrices) found |= job.name == tensor.name;
    for (const VectorJob& job : plan.vectors) found |= job.name == tensor.name;
    if (!found) {
      return absl::UnimplementedError(absl::StrCat("tensor ", tensor.name, " is not part of a known Llama"));
    }
  }
  return absl::OkStatus();  // one is missing: loading it says which
}

absl::Status LoadVector(const GgufFile& file, const VectorJob& job) {
  BATON_ASSIGN_OR_RETURN(const GgufTensor* tensor, file.Tensor(job.name));
  if (tensor->dims != std::vector<int64_t>{job.size}) {
    return absl::InvalidArgumentError(
        absl::StrCat("tensor ", job.name, " does not have ", job.size, " elements"));
  }
  BATON_ASSIGN_OR_RETURN(const WeightType type, TypeOf(*tensor));
  absl::StatusOr<PackedMatrix> packed = PackedMatrix::Pack(type, 1, job.size, tensor->data);
  if (!packed.ok())
    return absl::InvalidArgumentError(absl::StrCat(job.name, ": ", packed.status().message()));
  job.out->resize(job.size);
  packed->DequantizeRow(0, job.out->data());
  return absl::OkStatus();
}

absl::Status LoadMatrix(const GgufFile& file, const MatrixJob& job) {
  BATON_ASSIGN_OR_RETURN(const GgufTensor* tensor, file.Tensor(job.name));
  if (tensor->dims != std::vector<int64_t>{job.cols, job.rows}) {
    return absl::InvalidArgumentError(
        absl::StrCat("tensor ", job.name, " is not a matrix of ", job.rows, " rows by ", job.cols));
  }
  BATON_ASSIGN_OR_RETURN(const WeightType type, TypeOf(*tensor));
  absl::StatusOr<PackedMatrix> packed = PackedMatrix::Pack(type, job.rows, job.cols, tensor->data);
  if (!packed.ok())
    return absl::Status(packed.status().code(), absl::StrCat(job.name, ": ", packed.status().message()));
  *job.out = *std::move(packed);
  return absl::OkStatus();
}

absl::Status LoadMatrices(const GgufFile& file, const std::vector<MatrixJob>& jobs, int threads) {
  std::vector<absl::Status> results(jobs.size());
  kernels::ThreadPool pool(threads);
  pool.ParallelFor(static_cast<int64_t>(jobs.size()), 1, [&](int64_t begin, int64_t end, int) {
    for (int64_t i = begin; i < end; ++i) results[i] = LoadMatrix(file, jobs[i]);
  });
  for (const absl::Status& result : results) BATON_RETURN_IF_ERROR(result);
  return absl::OkStatus();
}

}  // namespace

absl::StatusOr<std::shared_ptr<const LlamaWeights>> LlamaWeights::Load(const GgufFile& file,
                                                                       int64_t max_context, int threads) {
  BATON_ASSIGN_OR_RETURN(ModelConfig config, ReadModelConfig(file));
  if (max_context > 0 && max_context < config.max_context) config.max_context = max_context;
  const bool tied = absl::IsNotFound(file.Tensor("output.weight").status());
  RopeTable rope(config, config.max_context);
  auto weights =
      std::make_shared<LlamaWeights>(LlamaWeights{.config = std::move(config), .rope = std::move(rope)});
  weights->tied = tied;
  weights->layers.resize(weights->config.layers);
  const Plan plan = PlanOf(weights->config, tied, *weights);
  BATON_RETURN_IF_ERROR(CheckAllKnown(file, plan, !weights->config.rope_factors.empty()));
  for (const VectorJob& job : plan.vectors) BATON_RETURN_IF_ERROR(LoadVector(file, job));
  BATON_RETURN_IF_ERROR(LoadMatrices(file, plan.matrices, threads));
  weights->model_id = ModelId(file, weights->config);
  weights->rotations = DigestRotations(weights->config);
  return std::shared_ptr<const LlamaWeights>(std::move(weights));
}

}  // namespace baton
