#include "engine/model/factory.h"

#include <utility>

#include "common/status_macros.h"

namespace baton {

absl::StatusOr<std::unique_ptr<ModelRunner>> LoadModel(const std::string& path, const LlamaOptions& options) {
  BATON_ASSIGN_OR_RETURN(std::vector<std::unique_ptr<ModelRunner>> runners, LoadModels(path, options, 1));
  return std::move(runners.front());
}

absl::StatusOr<std::vector<std::unique_ptr<ModelRunner>>> LoadModels(const std::string& path,
                                                                     const LlamaOptions& options, int count) {
  if (count < 1) return absl::InvalidArgumentError("a process has at least one rank");
  BATON_ASSIGN_OR_RETURN(const std::unique_ptr<GgufFile> file, GgufFile::Open(path));
  BATON_ASSIGN_OR_RETURN(const std::shared_ptr<const LlamaWeights> weights,
                         LlamaWeights::Load(*file, options.max_context, options.threads));
  std::vector<std::unique_ptr<ModelRunner>> runners;
  for (int i = 0; i < count; ++i) {
    BATON_ASSIGN_OR_RETURN(std::unique_ptr<LlamaModel> model, LlamaModel::Create(weights, options));
    runners.push_back(std::move(model));
  }
  return runners;
}

}  // namespace baton
