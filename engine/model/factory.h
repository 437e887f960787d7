#pragma once

// Opens a model file and makes runners of whatever architecture it holds.

#include <memory>
#include <string>
#include <vector>

#include "absl/status/statusor.h"
#include "engine/model/llama.h"
#include "engine/model/runner.h"

namespace baton {

// A GGUF file of a known architecture; an unknown one is Unimplemented, by name.
absl::StatusOr<std::unique_ptr<ModelRunner>> LoadModel(const std::string& path, const LlamaOptions& options);

// `count` runners (the ranks of a process) that share one copy of the weights; each has its own pages and
// threads.
absl::StatusOr<std::vector<std::unique_ptr<ModelRunner>>> LoadModels(const std::string& path,
                                                                     const LlamaOptions& options, int count);

}  // namespace baton
