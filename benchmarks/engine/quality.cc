// What rounding the KV cache costs: perplexity over a fixed text with the cache in float32, float16 and
// bfloat16, and the share of positions whose most likely token stays the same. quality --model FILE --text
// FILE [--threads N] [--quick]

#include <cstdio>
#include <fstream>
#include <iostream>

#include "absl/flags/flag.h"
#include "absl/flags/parse.h"
#include "absl/strings/str_cat.h"
#include "benchmarks/engine/quality_run.h"
#include "common/status_macros.h"
#include "engine/formats/gguf.h"

ABSL_FLAG(std::string, model, "", "GGUF file");
ABSL_FLAG(std::string, text, "tests/goldens/model/quality-text.u16", "16-bit token ids in windows of 512");
ABSL_FLAG(int, threads, 2, "threads");
ABSL_FLAG(std::string, commit, "", "commit to name in the figures");
ABSL_FLAG(std::string, machine, "", "machine to name in the figures");
ABSL_FLAG(bool, quick, false, "only the first 64 tokens of each window");
ABSL_FLAG(std::string, json, "", "file to write the figures to (DESIGN section 10)");

namespace baton {
namespace {

std::string JsonRow(const std::string& name, double value, const std::string& unit, double peer,
                    double target) {
  return absl::StrCat(R"({"name": ")", name, R"(", "value": )", value, R"(, "unit": ")", unit,
                      R"(", "peer": "float32 KV cache", "peer_value": )", peer, R"(, "ratio": )",
                      unit == "share" ? value / peer : peer / value, R"(, "target": )", target, "}");
}

absl::Status Measure() {
  BATON_ASSIGN_OR_RETURN(const std::unique_ptr<GgufFile> file, GgufFile::Open(absl::GetFlag(FLAGS_model)));
  LlamaOptions options;
  options.threads = absl::GetFlag(FLAGS_threads);
  BATON_ASSIGN_OR_RETURN(const std::shared_ptr<const LlamaWeights> weights,
                         LlamaWeights::Load(*file, 0, options.threads));
  BATON_ASSIGN_OR_RETURN(const QualityText text,
                         ReadQualityText(absl::GetFlag(FLAGS_text), absl::GetFlag(FLAGS_quick) ? 64 : 512));
  options.kv_dtype = KvDtype::kF32;
  BATON_ASSIGN_OR_RETURN(const QualityRun exact, MeasureQuality(weights, options, text));
  std::printf("float32  perplexity %.5f over %zu tokens\n", exact.perplexity, exact.top.size());
  std::string rows;
  for (const auto& [name, dtype] :
       {std::pair("float16", KvDtype::kF16), std::pair("bfloat16", KvDtype::kBF16)}) {
    options.kv_dtype = dtype;
    BATON_ASSIGN_OR_RETURN(const QualityRun run, MeasureQuality(weights, options, text));
    const double agreement = TopAgreement(exact, run);
    std::printf("%-8s perplexity %.5f (%+.4f%%), same top token at %.3f%% of positions\n", name,
                run.perplexity, 100 * (run.perplexity / exact.perplexity - 1), 100 * agreement);
    absl::StrAppend(&rows, rows.empty() ? "" : ",\n  ",
                    JsonRow(absl::StrCat("perplexity, KV in ", name), run.perplexity, "", exact.perplexity,
                            exact.perplexity * 1.005),
                    ",\n  ",
                    JsonRow(absl::StrCat("same top token, KV in ", name), agreement, "share", 1, 0.98));
  }
  if (!absl::GetFlag(FLAGS_json).empty()) {
    std::ofstream(absl::GetFlag(FLAGS_json))
        << R"({"machine": ")" << absl::GetFlag(FLAGS_machine) << R"(", "commit": ")"
        << absl::GetFlag(FLAGS_commit) << R"(", "rows": [)" << rows << "]}\n";
  }
  return absl::OkStatus();
}

}  // namespace
}  // namespace baton

int main(int argc, char** argv) {
  absl::ParseCommandLine(argc, argv);
  const absl::Status status = baton::Measure();
  if (!status.ok()) std::cerr << status << "\n";
  return status.ok() ? 0 : 1;
}
