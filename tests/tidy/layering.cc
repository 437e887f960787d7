#include "tests/tidy/layering.h"

#include <functional>
#include <map>
#include <regex>
#include <set>

namespace baton::tidy {
namespace {

// DESIGN.md section 3. A layer may always include itself.
const std::map<std::string, std::set<std::string>>& Table() {
  static const std::set<std::string> kEngine = {
      "engine",          "engine/formats",  "engine/text",  "engine/cache",
      "engine/kernels",  "engine/parallel", "engine/model", "engine/scheduler",
      "engine/sampling", "engine/types.h",  "common"};
  static const std::set<std::string> kWorker = [] {
    std::set<std::string> all = kEngine;
    all.insert({"services/kv_transfer", "services/kv_transfer/transport", "services/kv_transfer/handoff",
                "services/kv_transfer/pool", "proto"});
    return all;
  }();
  static const std::map<std::string, std::set<std::string>> kTable = {
      {"common", {}},
      {"proto", {}},
      {"engine", kEngine},
      {"engine/types.h", {"common"}},  // the words that the engine's parts share
      {"engine/formats", {"common"}},
      {"engine/text", {"engine/formats", "common"}},
      {"engine/cache", {"common"}},
      {"engine/kernels", {"common"}},
      {"engine/parallel", {"common"}},
      {"engine/model", {"engine/formats", "engine/kernels", "engine/parallel", "common"}},
      {"engine/scheduler", {"engine/cache", "common"}},
      {"engine/sampling", {"engine/types.h", "common"}},
      {"services/kv_transfer/transport", {"common"}},
      {"services/kv_transfer/handoff", {"services/kv_transfer/transport", "proto", "common"}},
      {"services/kv_transfer/pool",
       {"services/kv_transfer/handoff", "services/kv_transfer/transport", "engine/cache", "common"}},
      {"services/kv_transfer/pool/service",  // the gRPC face of the pool
       {"services/kv_transfer/pool", "services/kv_transfer/handoff", "services/kv_transfer/transport",
        "proto", "common"}},
      {"services/kv_transfer",
       {"services/kv_transfer/handoff", "services/kv_transfer/transport", "services/kv_transfer/pool",
        "proto", "common"}},
      {"services/worker", kWorker},
      {"services/prefill", {"services/worker", "proto", "common"}},
      {"services/decode", {"services/worker", "proto", "common"}},
      {"services/router", {"proto", "engine/text", "engine/formats", "common"}},
      {"services/balancer", {"proto", "common"}},
  };
  return kTable;
}

struct Include {
  std::string path;  // as written
  int line = 0;
};

std::vector<Include> IncludesOf(const SourceFile& file) {
  static const std::regex kInclude(R"(^[ \t]*#[ \t]*include[ \t]*["<]([^">]+)[">])", std::regex::multiline);
  std::vector<Include> includes;
  for (auto it = std::sregex_iterator(file.text.begin(), file.text.end(), kInclude);
       it != std::sregex_iterator(); ++it) {
    includes.push_back({(*it)[1], LineOf(file.text, it->position(0))});
  }
  return includes;
}

bool MayIncludeAnything(const std::string& layer) {
  return layer == "main" || layer == "tests" || layer == "tools" || layer == "benchmarks";
}

// Layers of foreign libraries that only some of ours may know.
bool IsForeignToLayer(const std::string& include, const std::string& layer) {
  const bool grpc = StartsWith(include, "grpc");
  const bool cuda = StartsWith(include, "cuda") || StartsWith(include, "nccl");
  if (grpc && layer == "services/kv_transfer/pool/service") return false;
  if (layer == "common" && StartsWith(include, "grpcpp/security/")) return false;  // common/grpc_tls
  if (grpc) return !StartsWith(layer, "services/") || StartsWith(layer, "services/kv_transfer");
  return cuda && layer != "engine/kernels" && layer != "engine/model" && layer != "engine/parallel" &&
         layer != "services/kv_transfer/transport";
}

}  // namespace

std::string LayerOf(const std::string& path) {
  if (EndsWith(path, "/main.cc")) return "main";
  if (StartsWith(path, "baton/")) return "proto";  // generated headers are named after the .proto files
  for (const char* top : {"tests", "tools", "benchmarks"}) {
    if (StartsWith(path, std::string(top) + "/")) return top;
  }
  std::string best;
  for (const auto& [layer, unused] : Table()) {
    if ((path == layer || StartsWith(path, layer + "/")) && layer.size() > best.size()) best = layer;
  }
  return best;
}

std::vector<Violation> CheckLayering(const std::vector<SourceFile>& files) {
  std::vector<Violation> violations;
  for (const SourceFile& file : files) {
    const std::string layer = LayerOf(file.path);
    if (!file.IsCpp() || MayIncludeAnything(layer)) continue;
    for (const Include& include : IncludesOf(file)) {
      const std::string target = LayerOf(include.path);
      const bool foreign = target.empty() && IsForeignToLayer(include.path, layer);
      const bool allowed = target.empty() || target == layer ||
                           (Table().count(layer) > 0 && Table().at(layer).count(target) > 0);
      if (foreign || !allowed) {
        violations.push_back(
            {"layering", file.path, include.line,
             (layer.empty() ? "a file of no layer" : layer) + " may not include " + include.path});
      }
    }
  }
  return violations;
}

std::vector<Violation> CheckCycles(const std::vector<SourceFile>& files) {
  std::map<std::string, const SourceFile*> by_path;
  for (const SourceFile& file : files) by_path[file.path] = &file;
  std::vector<Violation> violations;
  std::map<std::string, int> seen;  // 1: on the path being walked, 2: done
  const std::function<void(const SourceFile&)> walk = [&](const SourceFile& file) {
    seen[file.path] = 1;
    for (const Include& include : IncludesOf(file)) {
      const auto next = by_path.find(include.path);
      if (next == by_path.end()) continue;
      if (seen[include.path] == 1)
        violations.push_back({"cycle", file.path, include.line, "closes a circle to " + include.path});
      if (seen[include.path] == 0) walk(*next->second);
    }
    seen[file.path] = 2;
  };
  for (const SourceFile& file : files) {
    if (file.IsCpp() && seen[file.path] == 0) walk(file);
  }
  return violations;
}

}  // namespace baton::tidy
